// Flags, and messages found by their UIDs.
#include <algorithm>

#include "mailstore/changes.h"
#include "mailstore/keys.h"

namespace poplar::mailstore {

namespace {

constexpr std::size_t kFewGets = 16;  // more messages are found faster by a scan, if they are not far apart
constexpr std::size_t kSparse = 8;    // places passed over for each that is wanted
constexpr std::size_t kPage = 1000;   // entries a scan

void count_flags(MailboxTotals& totals, const Flags& before, const Flags& after) {
    auto count = [&](std::uint64_t& counter, Flag flag) {
        if (after.has(flag) && !before.has(flag)) ++counter;
        if (before.has(flag) && !after.has(flag)) subtract(counter, 1);
    };
    count(totals.seen, Flag::seen);
    count(totals.deleted, Flag::deleted);
}

}  // namespace

Task<Result<std::vector<StoredMessage>>> Changes::messages_of(AccountId account, MailboxId mailbox,
                                                              std::vector<Uid> uids) {
    std::vector<StoredMessage> found;
    if (uids.empty()) co_return found;
    const Uid first = uids.front(), last = uids.back();
    auto take = [&](engine::EntryView entry) -> Result<> {
        auto message = decode_message(entry);
        if (!message) return pass_on(message);
        if (message->own_uid.value == 0) found.push_back(std::move(*message));
        return {};
    };
    if (uids.size() <= kFewGets || last.value - first.value > kSparse * uids.size()) {
        for (auto uid : uids) {
            const auto key = keys::message(mailbox, OrderKey(uid.value));
            auto value = co_await engine_.get(account, key);
            if (!value && value.error().code() == Errc::not_found) continue;
            if (!value) co_return pass_on(value);
            if (auto taken = take({key, *value}); !taken) co_return pass_on(taken);
        }
    } else {
        auto range = keys::messages(mailbox, OrderKey(first.value));
        range.end = keys::message(mailbox, OrderKey(last.value + 1));
        auto next = uids.begin();
        for (bool more = true; more;) {
            auto page = co_await engine_.scan(account, range, kPage);
            if (!page) co_return pass_on(page);
            for (const auto entry : *page) {
                const auto uid = keys::uid_of(entry.key);  // of a message that has its order for its UID
                next = std::lower_bound(next, uids.end(), uid);
                if (next == uids.end() || *next != uid) continue;
                if (auto taken = take(entry); !taken) co_return pass_on(taken);
            }
            more = page->size() == kPage;
            if (more) range.begin_behind(page->back().key);
        }
    }
    if (found.size() == uids.size()) co_return found;
    // A message that came back to its place has another UID, which leads there.
    auto range = keys::uids(mailbox);
    range = {keys::uid(mailbox, first), std::min(range.end, keys::uid(mailbox, Uid(last.value + 1)))};
    for (bool more = true; more;) {
        auto page = co_await engine_.scan(account, range, kPage);
        if (!page) co_return pass_on(page);
        for (const auto entry : *page) {
            if (!std::ranges::binary_search(uids, keys::uid_of(entry.key))) continue;
            auto order = decode_number(entry.value);
            if (!order) co_return pass_on(order);
            const auto key = keys::message(mailbox, OrderKey(*order));
            auto value = co_await engine_.get(account, key);
            if (!value && value.error().code() == Errc::not_found)
                co_return fail(Errc::corrupt, "a UID leads to a message that is not there");
            if (!value) co_return pass_on(value);
            auto message = decode_message({key, *value});
            if (!message) co_return pass_on(message);
            found.push_back(std::move(*message));
        }
        more = page->size() == kPage;
        if (more) range.begin_behind(page->back().key);
    }
    std::ranges::sort(found, {}, &StoredMessage::uid);
    co_return found;
}

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
    auto messages = co_await messages_of(account, id, uids);
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
