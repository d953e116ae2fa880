// Flags, and messages found by their UIDs.
#include <algorithm>

#include "mailstore/changes.h"
#include "mailstore/keys.h"
#include "mailstore/lookup.h"

namespace poplar::mailstore {

namespace {

void count_flags(MailboxTotals& totals, const Flags& before, const Flags& after) {
    auto count = [&](std::uint64_t& counter, Flag flag) {
        if (after.has(flag) && !before.has(flag)) ++counter;
        if (before.has(flag) && !after.has(flag)) subtract(counter, 1);
    };
    count(totals.seen, Flag::seen);
    count(totals.deleted, Flag::deleted);
}

}  // namespace

Task<Result<KeywordTable>> Changes::keywords(AccountId account, MailboxId mailbox) {
    auto value = co_await engine_.get(account, keys::keywords(mailbox));
    if (!value && value.error().code() == Errc::not_found) co_return KeywordTable();
    if (!value) co_return pass_on(value);
    co_return decode_keywords(*value);
}

Task<Result<FlagOutcome>> Changes::change_flags(AccountId account, Hot& hot, MailboxId mailbox, std::vector<Uid> uids,
                                                FlagChange change) {
    auto attempt = [&] { return try_change_flags(account, hot, mailbox, uids, change); };
    co_return co_await repeated(attempt);
}

Task<Result<FlagOutcome>> Changes::try_change_flags(AccountId account, Hot& hot, MailboxId id,
                                                    const std::vector<Uid>& uids, const FlagChange& change) {
    auto draft = co_await begin(account, hot);
    if (!draft) co_return pass_on(draft);
    auto found = co_await mailbox(account, *draft, id);
    if (!found) co_return pass_on(found);
    auto& record = **found;
    const bool removes = change.how == FlagChange::How::remove;
    KeywordTable table;
    std::string bits;
    if (!change.keywords.empty()) {
        auto read = co_await keywords(account, id);
        if (!read) co_return pass_on(read);
        table = std::move(*read);
        for (const auto& name : change.keywords) {
            if (removes) {
                if (auto n = table.find(name)) set_bit(bits, *n);
                continue;
            }
            auto n = table.add(name);
            if (!n) co_return pass_on(n);
            set_bit(bits, *n);
        }
    }
    auto messages = co_await look_up(engine_, account, id, uids);
    if (!messages) co_return pass_on(messages);
    FlagOutcome outcome;
    for (auto& message : *messages) {
        if (change.unchanged_since && message.mod_sequence() > *change.unchanged_since) {
            outcome.refused.push_back(message.uid());
            continue;
        }
        auto flags = message.flags;
        if (change.how == FlagChange::How::set) flags = {};
        if (removes) {
            flags.system = static_cast<std::uint8_t>(flags.system & ~change.system);
            for (std::size_t n = 0; n < bits.size() * 8; ++n)
                if (has_bit(bits, n)) clear_bit(flags.keywords, n);
        } else {
            flags.system = static_cast<std::uint8_t>(flags.system | (change.system & kAllFlags));
            for (std::size_t n = 0; n < bits.size() * 8; ++n)
                if (has_bit(bits, n)) set_bit(flags.keywords, n);
        }
        if (flags == message.flags) continue;
        count_flags(record.totals, message.flags, flags);
        message.flags = std::move(flags);
        message.changed = record.changed = outcome.number = draft->number();
        draft->batch.put(keys::message(id, message.order), encode(message));
        draft->row.add(Change::Kind::flags, id, message.uid());
    }
    if (draft->batch.empty()) co_return outcome;
    if (table.grew()) draft->batch.put(keys::keywords(id), encode(table));
    auto done = co_await commit(account, hot, std::move(*draft));
    if (!done) co_return pass_on(done);
    co_return outcome;
}

}  // namespace poplar::mailstore
