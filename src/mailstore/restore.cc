// Restoring: a retained message comes back to where it was.
#include <algorithm>

#include "mailstore/changes.h"
#include "mailstore/keys.h"
#include "mailstore/lookup.h"

namespace poplar::mailstore {

Task<Result<StoredMessage>> Changes::restore(AccountId account, Hot& hot, std::string unique_id,
                                             std::optional<MailboxId> to) {
    auto attempt = [&] { return try_restore(account, hot, unique_id, to); };
    co_return co_await repeated(attempt);
}

Task<Result<StoredMessage>> Changes::try_restore(AccountId account, Hot& hot, const std::string& unique_id,
                                                 std::optional<MailboxId> wanted) {
    auto draft = co_await begin_with_views(account, hot);
    if (!draft) co_return pass_on(draft);
    auto found = co_await look_up(engine_, account, unique_id, engine_.snapshot(account));
    if (!found) co_return pass_on(found);
    auto& message = found->message;
    // Nothing to do, also when an unknown outcome is repeated.
    if (!found->retained) co_return std::move(message);

    auto& record = draft->record();
    subtract(record.retained_messages, 1);
    subtract(record.retained_octets, message.octets);
    if (record.retained_messages == 0) record.earliest_expiry = {};
    draft->batch.erase(keys::retained(found->retained->expires, message.mailbox, message.order));

    Result<MailboxId> home;
    if (wanted)
        home = *wanted;
    else
        home = co_await home_of(account, *draft, message, found->retained->mailbox);
    if (!home) co_return pass_on(home);
    auto to = co_await mailbox(account, *draft, *home);
    if (!to) co_return pass_on(to);
    const auto uid = (*to)->next_order;
    ++(*to)->next_order.value;
    if (*home == message.mailbox) {
        // POP has it at its old place, with its old unique-id. To IMAP, which was told that its UID is gone for ever,
        // it is a new message (RFC 9051 s2.3.1.1).
        message.own_uid = Uid(uid.value);
        message.changed = draft->number();
        ++(*to)->list_changes;
        for (auto& [id, view] : draft->views) {
            if (id.mailbox != message.mailbox) continue;
            if (view.record.show_again(message.order)) view.changed = true;
        }
    } else {
        auto source = co_await mailbox(account, *draft, message.mailbox);
        if (!source && source.error().code() != Errc::not_found) co_return pass_on(source);
        if (source) {
            auto keywords = co_await translate_keywords(account, *draft, message.mailbox, *home, {message});
            if (!keywords) co_return pass_on(keywords);
            message.flags.keywords = std::move(keywords->front());
        } else {
            message.flags.keywords.clear();  // their names went with the mailbox
        }
        message.mailbox = *home;
        message.order = uid;
        message.own_uid = {};
        message.added = draft->number();
        message.changed = {};
    }
    add(*draft, **to, message);
    draft->row.add(Change::Kind::added, message.mailbox, message.uid());
    if (is_found_by_place(message))
        draft->batch.erase(keys::unique_id(message.unique_id));
    else
        draft->batch.put(keys::unique_id(message.unique_id), encode(live_place(message)));
    auto done = co_await commit(account, hot, std::move(*draft));
    if (!done) co_return pass_on(done);
    co_return std::move(message);
}

// The mailbox that it was in, or the one that is called so now, which is made if there is none.
Task<Result<MailboxId>> Changes::home_of(AccountId account, Draft& draft, const StoredMessage& message,
                                         std::string name) {
    auto same = co_await mailbox(account, draft, message.mailbox);
    if (same) co_return message.mailbox;
    if (same.error().code() != Errc::not_found) co_return pass_on(same);
    if (!draft.record().others) co_return fail(Errc::corrupt, "the account's record knows of no mailbox but INBOX");
    auto named = co_await find_name(account, draft, name);
    if (named || named.error().code() != Errc::not_found) co_return named;
    co_return co_await make_mailbox(account, draft, std::move(name), SpecialUse::none, Subscription::no);
}

}  // namespace poplar::mailstore
