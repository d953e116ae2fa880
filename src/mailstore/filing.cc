// One delivery as one commit: messages in several mailboxes, mailboxes that are made for them, facts.
#include <algorithm>

#include "mailstore/changes.h"
#include "mailstore/mailbox_name.h"

namespace poplar::mailstore {

Task<Result<std::vector<Message>>> Changes::file(AccountId account, Hot& hot, const Filing& filing) {
    std::vector<engine::BodyId> bodies;
    for (std::size_t i = 0; i < filing.items.size(); ++i) bodies.push_back(engine_.next_body_id(account));
    for (int n = 1;; ++n) {
        auto done = co_await try_file(account, hot, filing, bodies);
        if (done || n == kAttempts || !worth_repeating(done.error().code())) co_return done;
        // The batch may have happened, and then its messages would be there twice: the first body's tells.
        if (done.error().code() != Errc::outcome_unknown || bodies.empty()) continue;
        if (co_await has_body(account, bodies.front()))
            co_return fail(Errc::outcome_unknown, "the delivery may be stored");
    }
}

Task<Result<std::vector<Message>>> Changes::try_file(AccountId account, Hot& hot, const Filing& filing,
                                                     const std::vector<engine::BodyId>& bodies) {
    const auto elsewhere = [](const Filing::Item& item) { return item.mailbox != kInboxName; };
    const bool makes_mailboxes = std::ranges::any_of(filing.items, elsewhere);
    auto draft = makes_mailboxes ? begin_mailboxes(account, hot) : begin(account, hot);
    auto begun = co_await std::move(draft);
    if (!begun) co_return pass_on(begun);
    if (begun->record().closed) co_return fail(Errc::not_found, "the account is gone");

    Arrivals arrivals(generation_now(begun->record().generation, generation_));
    std::vector<Message> messages;
    std::set<MailboxId> filed;
    for (std::size_t i = 0; i < filing.items.size(); ++i) {
        const auto& item = filing.items[i];
        auto id = co_await find_name(account, *begun, item.mailbox);
        if (!id && id.error().code() == Errc::not_found && item.create)
            id = co_await make_mailbox(account, *begun, item.mailbox, item.use, Subscription::yes);
        if (!id && id.error().code() == Errc::not_found) id = kInbox;
        if (!id) co_return pass_on(id);
        if (!filed.insert(*id).second) continue;  // RFC 5228 s2.10.3
        auto incoming = item.message;
        incoming.mailbox = *id;
        const auto received = incoming.received.value_or(clock_.now());
        auto put = co_await put_in(account, *begun, arrivals, incoming, received, bodies[i]);
        if (!put) co_return pass_on(put);
        messages.push_back(std::move(*put));
    }
    put_keywords(*begun, arrivals);
    if (!filing.facts.empty()) {
        std::set<std::string> names;
        for (const auto& fact : filing.facts) {
            if (!names.insert(fact.name).second) continue;
            auto put = co_await put_fact(account, *begun, fact);
            if (!put) co_return pass_on(put);
        }
        if (auto swept = co_await sweep_facts(account, *begun, names); !swept) co_return pass_on(swept);
    }
    if (begun->batch.empty() && begun->row.empty()) co_return messages;
    auto done = co_await commit(account, hot, std::move(*begun));
    if (!done) co_return pass_on(done);
    co_return messages;
}

}  // namespace poplar::mailstore
