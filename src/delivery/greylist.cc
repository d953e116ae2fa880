#include "delivery/greylist.h"

#include <openssl/evp.h>

#include <array>

#include "base/ascii.h"
#include "base/encoding.h"
#include "base/peer_network.h"
#include "directory/removed.h"
#include "mail/address.h"

namespace poplar::delivery {

namespace {

constexpr std::string_view kPrefix = "greylist/";
constexpr std::uint8_t kVersion = 1;
constexpr std::chrono::hours kRenewEvery{24};  // so that a pair is written at most once a day

/// A digest, so that all have the same length, whatever strangers call themselves. One of a network (peer_network.h),
/// because large senders come back from another of their machines.
std::string key_of(const std::string& address, const std::string& sender) {
    const auto at = sender.rfind('@');
    const auto domain = at == sender.npos ? std::string() : ascii::to_lower(sender.substr(at + 1));
    const auto text = std::to_string(network_key(address)) + " " + domain;
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
    return std::string(kPrefix).append(reinterpret_cast<const char*>(digest.data()), 16);
}

std::string value_of(Timestamp now) {
    return Encoder().u8(kVersion).u64(static_cast<std::uint64_t>(now.time_since_epoch().count())).bytes();
}

/// When mail of the pair came last. One that can't be read is long ago.
Timestamp last_of(std::string_view value) {
    Decoder in(value);
    const auto version = in.u8();
    const auto time = in.u64();
    if (version != kVersion || !in.ok() || !in.at_end()) return Timestamp{};
    return Timestamp(std::chrono::milliseconds(static_cast<std::int64_t>(time & ~(std::uint64_t(1) << 63))));
}

}  // namespace

Greylist::Waited Greylist::wait(const std::string& pair) {
    const auto now = clock_.now();
    std::lock_guard guard(mutex_);
    for (; !order_.empty(); order_.pop_front()) {
        const auto oldest = waiting_.find(order_.front());
        if (oldest == waiting_.end()) continue;
        if (now < oldest->second + kWaitsFor) break;
        waiting_.erase(oldest);
    }
    if (order_.size() >= 2 * kMostWaiting)
        std::erase_if(order_, [&](const auto& one) { return !waiting_.contains(one); });
    if (waiting_.size() >= kMostWaiting && !waiting_.contains(pair)) return Waited::no_room;
    const auto [place, fresh] = waiting_.emplace(pair, now);
    if (fresh) order_.push_back(pair);
    if (fresh || now < place->second + delay_) return Waited::not_yet;
    waiting_.erase(place);
    return Waited::enough;
}

Task<Result<bool>> Greylist::admits(std::string address, std::string sender, bool authenticated) {
    const auto pair = key_of(address, sender);
    const auto now = clock_.now();
    auto value = co_await engine_.get(directory::kServerPartition, pair);
    if (!value && value.error().code() != Errc::not_found) co_return pass_on(value);
    const auto last = value ? last_of(*value) : Timestamp{};
    const bool known = value && now < last + kKnownFor;
    if (known && now < last + kRenewEvery) co_return true;
    if (!known && !authenticated) {
        const auto waited = wait(pair);
        if (waited == Waited::not_yet) co_return false;
        if (waited == Waited::no_room) co_return true;  // who fills the table must not keep others out
    }
    engine::Batch batch;
    batch.put(pair, value_of(now));
    auto done = co_await engine_.commit(directory::kServerPartition, std::move(batch));
    if (!done) co_return pass_on(done);
    co_return true;
}

Task<Result<std::string>> Greylist::forget_old(std::string after, std::size_t limit) {
    auto range = engine::KeyRange::prefix(std::string(kPrefix));
    if (!after.empty()) range.begin_behind(after);
    auto entries = co_await engine_.scan(directory::kServerPartition, range, limit);
    if (!entries) co_return pass_on(entries);
    engine::Batch batch;
    std::size_t count = 0;
    std::string last;
    for (const auto entry : *entries) {
        ++count;
        last = entry.key;
        if (clock_.now() >= last_of(entry.value) + kKnownFor) batch.erase(std::string(entry.key));
    }
    if (!batch.empty())
        if (auto done = co_await engine_.commit(directory::kServerPartition, std::move(batch)); !done)
            co_return pass_on(done);
    co_return count < limit ? std::string() : last;
}

}  // namespace poplar::delivery
