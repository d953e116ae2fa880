// The end of an account: closing it, and forgetting all of it at once.
#include "base/random.h"
#include "mailstore/changes.h"
#include "mailstore/keys.h"

namespace poplar::mailstore {

namespace {
// All keys of an account, whatever they are of.
const engine::KeyRange kEverything{std::string(1, '\1'), std::string(1, '\x7f')};
}  // namespace

Task<Result<>> Changes::close(AccountId account, Hot& hot) {
    auto attempt = [&] { return try_close(account, hot); };
    co_return co_await repeated(attempt);
}

Task<Result<>> Changes::try_close(AccountId account, Hot& hot) {
    auto draft = co_await begin(account, hot);
    if (!draft) co_return pass_on(draft);
    if (draft->record().closed) co_return Result<>{};
    draft->record().closed = true;
    co_return co_await commit(account, hot, std::move(*draft));
}

Task<Result<>> Changes::purge(AccountId account, Hot& hot, Afterwards afterwards) {
    auto attempt = [&] { return try_purge(account, hot, afterwards); };
    co_return co_await repeated(attempt);
}

Task<Result<>> Changes::try_purge(AccountId account, Hot& hot, Afterwards afterwards) {
    auto state = co_await load(account, hot);
    if (!state && state.error().code() == Errc::corrupt) {  // all of it goes: its counters need not be known
        report_damage(account, state.error());
        auto number = co_await engine_.change_number(account);
        if (!number) co_return pass_on(number);
        hot.emplace();
        hot->number = *number;
        hot->record.generation = random_text(kGenerationLength);
        state = *hot;
    } else if (!state) {
        co_return pass_on(state);
    }
    AccountRecord last;
    last.generation = state->record.generation;
    last.inbox.next_order = state->record.inbox.next_order;
    last.closed = state->record.closed || afterwards == Afterwards::closed;
    last.encryption = state->record.encryption;
    last.inbox.uid_validity = state->record.inbox.uid_validity;
    last.log.emplace().forgotten = state->record.log ? state->record.log->forgotten : state->number;
    for (auto area : {Place::Area::live, Place::Area::retained}) {
        auto done = co_await purge_area(account, hot, area);
        if (!done) co_return done;
    }
    co_return co_await purge_remains(account, hot, std::move(last));
}

Task<Result<>> Changes::purge_area(AccountId account, Hot& hot, Place::Area area) {
    const bool live = area == Place::Area::live;
    for (;;) {
        auto entries =
            co_await engine_.scan(account, live ? keys::messages() : keys::retained(), options_.forget_messages);
        if (!entries) co_return pass_on(entries);
        if (entries->empty()) co_return Result<>{};
        auto draft = co_await begin(account, hot);
        if (!draft) co_return pass_on(draft);
        auto& record = draft->record();
        if (auto dropped = co_await drop_views(account, *draft); !dropped) co_return dropped;
        std::vector<StoredMessage> gone;
        for (const auto entry : *entries) {
            Result<StoredMessage> message;
            if (live) {
                message = decode_message(entry);
            } else if (auto retained = decode_retained(entry); retained) {
                message = std::move(retained->message);
            } else {
                message = pass_on(retained);
            }
            if (!message) {  // its body can't be named and keeps its bytes
                draft->batch.erase(std::string(entry.key));
                subtract(live ? record.inbox.totals.messages : record.retained_messages, 1);
                report_damage(account, message.error());
                continue;
            }
            if (live) {
                auto from = co_await mailbox(account, *draft, message->mailbox);
                MailboxRecord lost;
                take_out(*draft, from ? **from : lost, *message);
            } else {
                draft->batch.erase(std::string(entry.key));
                subtract(record.retained_messages, 1);
                subtract(record.retained_octets, message->octets);
            }
            draft->batch.erase(keys::unique_id(message->unique_id));
            gone.push_back(std::move(*message));
        }
        if (auto released = co_await release_bodies(account, *draft, gone); !released) co_return pass_on(released);
        if (record.retained_messages == 0) record.earliest_expiry = {};
        if (!record.log) record.log.emplace();
        record.log->forgotten = draft->number();
        auto done = co_await commit(account, hot, std::move(*draft));
        if (!done) co_return done;
    }
}

/// Of views nothing is known any more, and damaged ones are in nobody's way.
Task<Result<>> Changes::drop_views(AccountId account, Draft& draft) {
    if (draft.record().views == 0) co_return Result<>{};
    auto entries = co_await engine_.scan(account, keys::views(), draft.record().views + 1);
    if (!entries) co_return pass_on(entries);
    for (const auto entry : *entries) draft.batch.erase(std::string(entry.key));
    draft.record().views = 0;
    co_return Result<>{};
}

/// Erases what is left once all messages are gone: mailboxes, the index entries of damaged messages, the change log,
/// and the account's record, which `last` takes the place of if it is closed.
Task<Result<>> Changes::purge_remains(AccountId account, Hot& hot, AccountRecord last) {
    const bool stays = last.closed || last.encryption;
    const auto wanted = stays ? encode(last) : std::string();
    for (;;) {
        auto entries = co_await engine_.scan(account, kEverything, options_.forget_messages + 1);
        if (!entries) co_return pass_on(entries);
        auto record = co_await engine_.get(account, keys::account());
        if (!record && record.error().code() != Errc::not_found) co_return pass_on(record);
        if (entries->size() == (record ? 1 : 0) && record.value_or("") == wanted) {
            hot.reset();  // if its record is gone, the next message begins a new generation
            co_return Result<>{};
        }
        Result<engine::ChangeNumber> number;
        if (hot) {
            number = hot->number;
        } else {
            number = co_await engine_.change_number(account);
        }
        if (!number) co_return pass_on(number);
        engine::Batch batch;
        for (const auto entry : *entries)
            if (entry.key != keys::account()) batch.erase(std::string(entry.key));
        if (entries->size() <= options_.forget_messages) {
            if (stays)
                batch.put(keys::account(), wanted);
            else
                batch.erase(keys::account());
        }
        hot.reset();
        number = co_await engine_.commit(account, std::move(batch), *number);
        if (!number) co_return pass_on(number);
    }
}

}  // namespace poplar::mailstore
