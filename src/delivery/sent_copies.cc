#include "delivery/sent_copies.h"

#include <algorithm>

#include "base/log.h"

namespace poplar::delivery {

namespace {

constexpr std::string_view kSent = "Sent";

}  // namespace

bool SentCopies::wants(const Submitter& submitter) const {
    if (accounts_.empty()) return false;
    const auto address = mail::parse_address(submitter.address, mail::Grammar::tolerant);
    return address && names_include(accounts_, *address);
}

Task<> SentCopies::keep(Submitter submitter, mailstore::NewMessage message) {
    auto stored = co_await store(submitter, std::move(message));
    if (!stored)
        log::warning("delivery.sent_not_kept", {{"account", submitter.address},
                                                {"error", to_string(stored.error().code())},
                                                {"reason", stored.error().detail()}});
}

Task<Result<>> SentCopies::store(const Submitter& submitter, mailstore::NewMessage message) {
    const auto octets = message.head.size() + message.content.octets;
    quota::Reservation room;
    auto address = mail::parse_address(submitter.address, mail::Grammar::tolerant);
    if (!address) co_return fail(Errc::invalid, "the account's address can't be read");
    auto resolution = co_await directory_.resolve(std::move(*address));
    if (!resolution) co_return pass_on(resolution);
    const auto& accounts = resolution->accounts;
    const auto at = static_cast<std::size_t>(std::ranges::find(accounts, submitter.account) - accounts.begin());
    if (at < resolution->bounds.size() && resolution->bounds[at]) {
        auto kept = co_await quotas_.reserve(submitter.account, resolution->bounds[at], {.octets = octets});
        if (!kept) co_return pass_on(kept);
        if (!*kept) co_return fail(Errc::too_large, kept->error().text);
        room = std::move(**kept);
        if (auto claimed = room.claim(octets); !claimed) co_return fail(Errc::too_large, claimed.error().text);
    }
    auto mailbox = co_await store_.find_mailbox(submitter.account, std::string(kSent));
    if (!mailbox && mailbox.error().code() == Errc::not_found)
        mailbox = co_await store_.add_mailbox(submitter.account, std::string(kSent), mailstore::SpecialUse::sent);
    if (!mailbox) co_return pass_on(mailbox);
    message.mailbox = mailbox->id;
    message.flags = static_cast<std::uint8_t>(mailstore::Flag::seen);
    auto stored = co_await store_.append(submitter.account, std::move(message));
    if (!stored) co_return pass_on(stored);
    co_return Result<>();
}

}  // namespace poplar::delivery
