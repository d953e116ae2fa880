#include "queue/sending_limits.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "base/encoding.h"
#include "queue/record.h"

namespace poplar::queue {

namespace {

constexpr std::uint8_t kVersion = 1;

std::string usage_key(engine::PartitionId account) { return Encoder().raw("u").u64_key(account.value).bytes(); }

/// Says that the account has written to the address before. A digest, so that all have the same length.
std::string written_to_key(engine::PartitionId account, std::string_view address) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    EVP_Digest(address.data(), address.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
    const std::string_view octets(reinterpret_cast<const char*>(digest.data()), 16);
    return Encoder().raw("k").u64_key(account.value).raw(octets).bytes();
}

bool over(std::uint32_t count, std::uint32_t more, std::uint32_t limit) {
    return more > 0 && limit != 0 && count + more > limit;
}

}  // namespace

std::string SendingLimits::encode(const Usage& usage) {
    Encoder out;
    out.u8(kVersion).u64(static_cast<std::uint64_t>(usage.hour)).u64(static_cast<std::uint64_t>(usage.day));
    for (const auto* counts : {usage.messages, usage.recipients, usage.fresh}) out.u32(counts[0]).u32(counts[1]);
    return std::move(out).bytes();
}

std::optional<SendingLimits::Usage> SendingLimits::decode(std::string_view value) {
    Decoder in(value);
    const auto version = in.u8();
    Usage usage;
    usage.hour = static_cast<std::int64_t>(in.u64());
    usage.day = static_cast<std::int64_t>(in.u64());
    for (auto* counts : {usage.messages, usage.recipients, usage.fresh}) counts[0] = in.u32(), counts[1] = in.u32();
    if (version != kVersion || !in.ok() || !in.at_end()) return std::nullopt;
    return usage;
}

SendingLimits::Usage& SendingLimits::current(Account account) {
    auto& usage = usage_[account];
    const auto now = clock_.now().time_since_epoch();
    const auto hour = std::chrono::floor<std::chrono::hours>(now).count();
    const auto day = std::chrono::floor<std::chrono::days>(now).count();
    auto forget = [&](int which) { usage.messages[which] = usage.recipients[which] = usage.fresh[which] = 0; };
    if (usage.hour != hour) forget(0);
    if (usage.day != day) forget(1);
    usage.hour = hour;
    usage.day = day;
    return usage;
}

bool SendingLimits::take(Account account, std::uint32_t messages, std::uint32_t recipients, std::uint32_t fresh) {
    std::lock_guard guard(mutex_);
    auto& usage = current(account);
    const auto& q = quota_;
    if (over(usage.messages[0], messages, q.messages_per_hour) || over(usage.messages[1], messages, q.messages_per_day))
        return false;
    if (over(usage.recipients[0], recipients, q.recipients_per_hour) ||
        over(usage.recipients[1], recipients, q.recipients_per_day))
        return false;
    if (over(usage.fresh[0], fresh, q.new_recipients_per_hour) || over(usage.fresh[1], fresh, q.new_recipients_per_day))
        return false;
    for (int which : {0, 1}) {
        usage.messages[which] += messages;
        usage.recipients[which] += recipients;
        usage.fresh[which] += fresh;
    }
    return true;
}

void SendingLimits::give_back(Account account, std::uint32_t messages, std::uint32_t recipients, std::uint32_t fresh) {
    std::lock_guard guard(mutex_);
    auto& usage = current(account);
    for (int which : {0, 1}) {  // an hour or a day may have begun since
        usage.messages[which] -= std::min(usage.messages[which], messages);
        usage.recipients[which] -= std::min(usage.recipients[which], recipients);
        usage.fresh[which] -= std::min(usage.fresh[which], fresh);
    }
}

Task<Result<std::optional<SendingLimits::Sending>>> SendingLimits::begin(Account account) {
    bool known = false;
    {
        std::lock_guard guard(mutex_);
        known = usage_.contains(account);
    }
    if (!known) {
        auto value = co_await engine_.get(kQueuePartition, usage_key(account));
        if (!value && value.error().code() != Errc::not_found) co_return pass_on(value);
        std::lock_guard guard(mutex_);
        // A record that can't be read begins anew: a limit that is passed twice costs less than mail that can't leave.
        if (value) usage_.emplace(account, decode(*value).value_or(Usage{}));
    }
    if (!take(account, 1, 0, 0)) co_return std::optional<Sending>();
    co_return std::optional<Sending>(Sending(*this, account));
}

SendingLimits::Sending::Sending(Sending&& other) noexcept
    : limits_(std::exchange(other.limits_, nullptr)),
      account_(other.account_),
      recipients_(other.recipients_),
      new_(std::move(other.new_)) {}

SendingLimits::Sending::~Sending() {
    if (limits_) limits_->give_back(account_, 1, recipients_, static_cast<std::uint32_t>(new_.size()));
}

Task<Result<bool>> SendingLimits::Sending::add(std::string address, Where where) {
    bool fresh = where == Where::elsewhere;
    auto key = written_to_key(account_, address);
    if (fresh) {
        auto known = co_await limits_->engine_.get(kQueuePartition, key);
        if (!known && known.error().code() != Errc::not_found) co_return pass_on(known);
        fresh = !known && std::ranges::find(new_, key) == new_.end();
    }
    if (!limits_->take(account_, 0, 1, fresh ? 1 : 0)) co_return false;
    ++recipients_;
    if (fresh) new_.push_back(std::move(key));
    co_return true;
}

std::vector<engine::Entry> SendingLimits::Sending::entries() const {
    std::vector<engine::Entry> entries;
    for (const auto& key : new_) entries.push_back({key, Encoder().u8(kVersion).bytes()});
    std::lock_guard guard(limits_->mutex_);
    entries.push_back({usage_key(account_), SendingLimits::encode(limits_->current(account_))});
    return entries;
}

}  // namespace poplar::queue
