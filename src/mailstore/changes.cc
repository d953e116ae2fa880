// The steps that all changes share: reading the account's state, a draft, its commit, the change log's rows, and a
// message's way into a mailbox and out.
#include "mailstore/changes.h"

#include <algorithm>

#include "base/log.h"
#include "base/random.h"
#include "mailstore/keys.h"

namespace poplar::mailstore {

Changes::Changes(engine::Engine& engine, const Clock& clock, const Options& options)
    : engine_(engine), clock_(clock), options_(options), generation_(random_text(kGenerationLength)) {}

void Changes::report_damage(AccountId account, const Error& error) {
    log::error("mailstore.damaged_record", {{"account", account.value}, {"detail", error.detail()}});
}

Task<Result<AccountState>> Changes::load(AccountId account, Hot& hot) {
    if (hot) co_return *hot;
    // The number first: a commit between the two reads then shows as a conflict, not as a counter gone wrong.
    auto number = co_await engine_.change_number(account);
    if (!number) co_return pass_on(number);
    AccountState state;
    state.number = *number;
    auto& record = state.record;
    auto value = co_await engine_.get(account, keys::account());
    if (value) {
        auto decoded = decode_account(*value);
        if (!decoded) co_return pass_on(decoded);
        record = std::move(*decoded);
    } else if (value.error().code() == Errc::not_found) {  // what follows is stored with the first commit
        record.generation = random_text(kGenerationLength);
        record.inbox.uid_validity = uid_validity_at(clock_.now());
    } else {
        co_return pass_on(value);
    }
    // Of what happened before there was a log, or in an earlier life of the account, nobody can be told.
    if (record.early || (!value && number->value != 0)) record.log.emplace().forgotten = *number;
    hot = state;
    co_return state;
}

Task<Result<Changes::Draft>> Changes::begin(AccountId account, Hot& hot) {
    auto state = co_await load(account, hot);
    if (!state) co_return pass_on(state);
    co_return Draft{std::move(*state)};
}

Task<Result<MailboxRecord*>> Changes::mailbox(AccountId account, Draft& draft, MailboxId id) {
    if (id == kInbox) co_return &draft.record().inbox;
    auto found = draft.mailboxes.find(id);
    if (found == draft.mailboxes.end()) {
        auto value = co_await engine_.get(account, keys::mailbox(id));
        if (!value && value.error().code() == Errc::not_found) co_return fail(Errc::not_found, "no such mailbox");
        if (!value) co_return pass_on(value);
        auto record = decode_mailbox(*value);
        if (!record) co_return pass_on(record);
        found = draft.mailboxes.emplace(id, std::move(*record)).first;
    }
    if (!draft.record().others) co_return fail(Errc::corrupt, "the account's record knows of no mailbox but INBOX");
    if (found->second.removed) co_return fail(Errc::not_found, "the mailbox was removed");
    co_return &found->second;
}

Task<Result<>> Changes::commit(AccountId account, Hot& hot, Draft draft) {
    if (!draft.row.empty())
        if (auto logged = co_await log_row(account, draft); !logged) co_return pass_on(logged);
    auto& state = draft.state;
    for (const auto& [id, record] : draft.mailboxes) draft.batch.put(keys::mailbox(id), encode(record));
    for (const auto& [name, id] : draft.names) {
        if (id)
            draft.batch.put(keys::name(name), encode_number(id->value));
        else
            draft.batch.erase(keys::name(name));
    }
    for (const auto& [id, view] : draft.views)
        if (view.changed) draft.batch.put(keys::view(id), encode(view.record));
    draft.batch.put(keys::account(), encode(state.record));
    hot.reset();  // not known until the commit's outcome is
    auto number = co_await engine_.commit(account, std::move(draft.batch), state.number);
    if (!number) co_return pass_on(number);
    state.number = *number;
    tell_totals(account, state.record.totals());
    hot = std::move(state);
    co_return Result<>{};
}

Task<Result<>> Changes::log_row(AccountId account, Draft& draft) {
    const auto now = clock_.now();
    auto& log = draft.record().log;
    if (!log) log.emplace();
    if (log->rows == 0) log->oldest = now;
    ++log->rows;
    draft.batch.put(keys::change(draft.number()), draft.row.encode(now));
    const auto most = options_.change_log_rows;
    if (log->rows <= most + most / 8) co_return Result<>{};
    co_return co_await forget_rows(account, draft, log->rows - most);
}

// Erases the oldest `rows` rows, or all if there are no more.
Task<Result<>> Changes::forget_rows(AccountId account, Draft& draft, std::uint64_t rows) {
    auto entries = co_await engine_.scan(account, keys::changes(), rows + 1);
    if (!entries) co_return pass_on(entries);
    auto& log = *draft.record().log;
    std::uint64_t gone = 0;
    for (const auto entry : *entries) {
        if (gone == rows) {
            auto time = decode_change_time(entry.value);
            if (time) log.oldest = *time;
            break;
        }
        ++gone;
        log.forgotten = keys::change_of(entry.key);
        draft.batch.erase(std::string(entry.key));
    }
    subtract(log.rows, gone);
    co_return Result<>{};
}

void Changes::add(Draft& draft, MailboxRecord& to, const StoredMessage& message) {
    count_in(to.totals, message);
    to.changed = draft.number();
    if (message.mailbox != kInbox) {
        auto& others = *draft.record().others;
        ++others.messages;
        others.octets += message.octets;
    }
    draft.batch.put(keys::message(message.mailbox, message.order), encode(message));
    if (message.own_uid.value != 0)
        draft.batch.put(keys::uid(message.mailbox, message.own_uid), encode_number(message.order.value));
}

void Changes::take_out(Draft& draft, MailboxRecord& from, const StoredMessage& message) {
    count_out(from.totals, message);
    ++from.list_changes;
    from.changed = draft.number();
    if (auto& others = draft.record().others; message.mailbox != kInbox && others) {
        subtract(others->messages, 1);
        subtract(others->octets, message.octets);
    }
    for (auto& [id, view] : draft.views) {
        if (id.mailbox != message.mailbox) continue;
        if (view.record.forget(message)) view.changed = true;
    }
    draft.batch.erase(keys::message(message.mailbox, message.order));
    if (message.own_uid.value != 0) draft.batch.erase(keys::uid(message.mailbox, message.own_uid));
}

}  // namespace poplar::mailstore
