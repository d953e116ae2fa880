#include "delivery/junk_release.h"

#include <algorithm>

#include "mail/release_address.h"

namespace poplar::delivery {

Task<Result<std::optional<std::uint64_t>>> release_junk(mailstore::MailStore& store, mailstore::AccountId account,
                                                        std::string address) {
    std::optional<std::uint64_t> released;
    const auto wanted = mail::parse_release_address(address);
    if (!wanted) co_return released;
    auto fact = co_await store.fact(account, mail::release_fact(wanted->token));
    if (!fact) co_return pass_on(fact);
    if (!*fact) co_return released;
    released = 0;
    auto mailboxes = co_await store.mailboxes(account);
    if (!mailboxes) co_return pass_on(mailboxes);
    std::size_t number = 0;
    for (std::string_view ids = **fact; !ids.empty();) {
        const auto id = ids.substr(0, ids.find(' '));
        ids.remove_prefix(std::min(ids.size(), id.size() + 1));
        ++number;
        if (wanted->number != 0 && wanted->number != number) continue;
        for (const auto& mailbox : *mailboxes) {  // where it still is: not deleted, nor moved by its user
            if (mailbox.use != mailstore::SpecialUse::junk) continue;
            auto message = co_await store.find(account, std::string(id));
            if (!message && message.error().code() == Errc::not_found) break;
            if (!message) co_return pass_on(message);
            if (message->mailbox != mailbox.id) continue;
            auto moved = co_await store.move(account, mailbox.id, {message->uid()}, mailstore::kInbox);
            if (!moved) co_return pass_on(moved);
            *released += moved->size();
        }
    }
    co_return released;
}

}  // namespace poplar::delivery
