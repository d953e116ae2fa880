// Resolves recipients, asks for room in their accounts, and begins messages.
#include "delivery/delivery.h"

#include <fmt/format.h>

#include <set>

#include "delivery/incoming_message.h"
#include "delivery/signing.h"
#include "screening/screener.h"

namespace poplar::delivery {

namespace {

constexpr std::uint64_t kMostTrace = 4000;  // octets, about, of what a delivery puts on top, with the longest names

}  // namespace

Delivery::Delivery(directory::Directory& directory, mailstore::MailStore& store, quota::Quotas& quotas,
                   const Clock& clock, Limits limits, queue::Queue* queue, queue::SendingLimits* sending_limits)
    : directory_(directory),
      store_(store),
      quotas_(quotas),
      clock_(clock),
      limits_(limits),
      queue_(queue),
      sending_limits_(sending_limits),
      srs_(limits_.forward),
      sent_(store, directory, quotas, limits_.copy_to_sent),
      dispatch_(directory, queue, clock, srs_),
      filter_(store, clock, limits_.filter, dispatch_) {}

void Delivery::sign_with(SigningStore& keys) {
    signing_ = &keys;
    dispatch_.sign_with(keys.ring());
}

bool Delivery::refuses_clients() const { return screener_ && !screener_->options().dnsbl.empty(); }

Task<std::string> Delivery::refusal_of_client(std::string address) const {
    if (!refuses_clients()) co_return std::string();
    auto listing = co_await screener_->listing_of(std::move(address));
    if (listing.zone.empty()) co_return std::string();
    co_return listing.text.empty() ? listing.zone : fmt::format("{}: {}", listing.zone, listing.text);
}

void Delivery::use_common_scripts(engine::Engine& engine) {
    common_scripts_ = std::make_unique<CommonScripts>(engine, clock_, limits_.filter, queue_ != nullptr);
    filter_.share(*common_scripts_);
}

Task<Result<bool>> Delivery::begin_sending(Sending& sending) {
    if (!sending_limits_) co_return true;
    auto begun = co_await sending_limits_->begin(sending.submitter->account);
    if (!begun) co_return pass_on(begun);
    if (!*begun) co_return false;
    sending.limits.emplace(std::move(**begun));
    co_return true;
}

Task<Result<bool>> Delivery::add_recipient(Sending& sending, mail::Address address, Where where) {
    if (!sending.limits) co_return true;
    auto known = mail::canonical(address);
    co_return co_await sending.limits->add(mail::to_string(known ? *known : address), where);
}

Task<Result<directory::Resolution>> Delivery::resolve(mail::Address address) {
    if (srs_.is_wrapped(address)) return resolve_wrapped(std::move(address));
    return directory_.resolve(std::move(address));
}

std::optional<directory::Resolution> Delivery::resolve_at_hand(const mail::Address& address) {
    return directory_.resolve_at_hand(address);
}

Task<Result<directory::Resolution>> Delivery::resolve_wrapped(mail::Address address) {
    directory::Resolution unknown;
    auto sender = srs_.unwrap(address, clock_.now());
    if (!sender) co_return unknown;
    auto real = mail::parse_address(*sender, mail::Grammar::tolerant);
    if (!real) co_return unknown;
    auto resolution = co_await directory_.resolve(*real);
    if (resolution && resolution->kind == directory::Resolution::Kind::unknown_domain) {
        resolution->kind = directory::Resolution::Kind::accounts;
        resolution->elsewhere = {address_elsewhere(*real)};
    }
    co_return resolution;
}

quota::Need Delivery::need(std::optional<std::uint64_t> size) const {
    return {.octets = size, .trace = kMostTrace, .most = limits_.message_octets};
}

Task<std::expected<Room, Verdict>> Delivery::admit(directory::Resolution resolution, std::optional<std::uint64_t> size,
                                                   RoomView kept, quota::Binding binding) {
    Room room;
    std::set<directory::AccountId> have_room;
    for (const auto& one : kept) have_room.insert(one->account());
    for (std::size_t i = 0; i < resolution.bounds.size(); ++i) {
        if (!resolution.bounds[i] || have_room.contains(resolution.accounts[i])) continue;
        auto outcome = co_await quotas_.reserve(resolution.accounts[i], resolution.bounds[i], need(size), binding);
        if (!outcome) co_return std::unexpected(verdict_of(outcome.error()));
        if (!*outcome) co_return std::unexpected(verdict_of(outcome->error()));
        room.push_back(std::make_shared<quota::Reservation>(std::move(**outcome)));
    }
    co_return room;
}

Task<std::expected<void, Verdict>> Delivery::would_admit(directory::Resolution resolution,
                                                         std::optional<std::uint64_t> size) {
    for (std::size_t i = 0; i < resolution.bounds.size(); ++i) {
        if (!resolution.bounds[i]) continue;
        auto full = co_await quotas_.ask(resolution.accounts[i], resolution.bounds[i], need(size));
        if (!full) co_return std::unexpected(verdict_of(full.error()));
        if (*full) co_return std::unexpected(verdict_of(**full));
    }
    co_return std::expected<void, Verdict>();
}

std::unique_ptr<Incoming> Delivery::begin(std::shared_ptr<Envelope> envelope, std::uint64_t size_hint) {
    for (const auto& one : envelope->room) one->begin();
    IncomingServices services{.store = store_,
                              .directory = directory_,
                              .filter = filter_,
                              .dispatch = dispatch_,
                              .clock = clock_,
                              .limits = limits_,
                              .queue = queue_,
                              .inspectors = inspectors_,
                              .ring = signing_ ? &signing_->ring() : nullptr,
                              .screener = screener_,
                              .greylist = greylist_,
                              .sent = sent_};
    return std::make_unique<IncomingMessage>(std::move(envelope), store_.stage(size_hint), services);
}

}  // namespace poplar::delivery
