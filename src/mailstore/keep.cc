// How long deleted messages are kept: for as long as their account says, twice as long if their deletion was unusual,
// and less if they are too many.
#include <algorithm>

#include "mailstore/changes.h"
#include "mailstore/keys.h"

namespace poplar::mailstore {

Timestamp Changes::expiry_of(const AccountRecord& record, const RetainedMessage& retained) const {
    const auto keep = record.retention ? record.retention->keep : options_.retention;
    return retained.deleted + (retained.kept_twice ? 2 * keep : keep);
}

bool Changes::keep_until_due(Draft& draft, RetainedMessage retained, engine::EntryView entry) {
    const auto& message = retained.message;
    retained.expires = expiry_of(draft.record(), retained);
    auto key = keys::retained(retained.expires, message.mailbox, message.order);
    auto value = encode(retained);
    if (key == entry.key && value == entry.value) return false;
    if (key != entry.key) draft.batch.erase(std::string(entry.key));
    draft.batch.put(std::move(key), std::move(value));
    draft.batch.put(keys::unique_id(message.unique_id), encode(place_of(retained)));
    auto& earliest = draft.record().earliest_expiry;
    earliest = std::min(earliest, retained.expires);  // if the first one moved away, expire() finds that out
    return true;
}

Task<Result<>> Changes::set_retention(AccountId account, Hot& hot, std::chrono::seconds keep) {
    auto attempt = [&]() -> Task<Result<>> {
        auto draft = co_await begin(account, hot);
        if (!draft) co_return pass_on(draft);
        auto& retention = draft->record().retention;
        if (retention && retention->keep == keep) co_return Result<>{};
        retention = Retention{keep};
        co_return co_await commit(account, hot, std::move(*draft));
    };
    co_return co_await repeated(attempt);
}

// A message deleted meanwhile is kept for the new time already. A message that moves behind the page is met again, and
// is right by then.
Task<Result<Changes::Expired>> Changes::keep_by_retention(AccountId account, Hot& hot, std::string from) {
    auto attempt = [&]() -> Task<Result<Expired>> {
        auto draft = co_await begin(account, hot);
        if (!draft) co_return pass_on(draft);
        Expired changed;
        auto& retention = draft->record().retention;
        if (!retention || retention->applied) co_return changed;
        auto range = keys::retained();
        if (!from.empty()) range.begin = from;
        auto entries = co_await engine_.scan(account, range, options_.forget_messages);
        if (!entries) co_return pass_on(entries);
        for (const auto entry : *entries) {
            auto retained = decode_retained(entry);  // damaged: expire() tells of it
            if (retained && keep_until_due(*draft, std::move(*retained), entry)) ++changed.messages;
        }
        if (entries->size() == options_.forget_messages) {
            range.begin_behind(entries->back().key);
            changed.next = range.begin;
            if (draft->batch.empty()) co_return changed;
        } else {
            retention->applied = true;
        }
        auto done = co_await commit(account, hot, std::move(*draft));
        if (!done) co_return pass_on(done);
        co_return changed;
    };
    co_return co_await repeated(attempt);
}

Task<Result<Changes::Expired>> Changes::keep_twice(AccountId account, Hot& hot, DeletionFilter which,
                                                   std::string from) {
    auto attempt = [&]() -> Task<Result<Expired>> {
        auto draft = co_await begin(account, hot);
        if (!draft) co_return pass_on(draft);
        Expired kept;
        auto range = keys::retained();
        if (!from.empty()) range.begin = from;
        auto entries = co_await engine_.scan(account, range, options_.forget_messages);
        if (!entries) co_return pass_on(entries);
        for (const auto entry : *entries) {
            auto retained = decode_retained(entry);
            if (!retained || retained->kept_twice || !which.fits(*retained)) continue;
            retained->kept_twice = true;
            if (keep_until_due(*draft, std::move(*retained), entry)) ++kept.messages;
        }
        co_return co_await end_page(account, hot, std::move(*draft), std::move(range), *entries, std::move(kept));
    };
    co_return co_await repeated(attempt);
}

Task<Result<Changes::Expired>> Changes::forget_early(AccountId account, Hot& hot, Timestamp last, Timestamp newest,
                                                     std::string from) {
    auto attempt = [&]() -> Task<Result<Expired>> {
        auto draft = co_await begin(account, hot);
        if (!draft) co_return pass_on(draft);
        Expired forgotten;
        auto range = keys::retained_until(last);
        if (!from.empty()) range.begin = from;
        auto entries = co_await engine_.scan(account, range, options_.forget_messages);
        if (!entries) co_return pass_on(entries);
        auto done = co_await forget_retained(account, *draft, *entries, newest, forgotten.messages);
        if (!done) co_return pass_on(done);
        if (draft->record().retained_messages == 0) draft->record().earliest_expiry = {};
        co_return co_await end_page(account, hot, std::move(*draft), std::move(range), *entries, std::move(forgotten));
    };
    co_return co_await repeated(attempt);
}

Task<Result<bool>> Changes::forget_retained(AccountId account, Draft& draft, const engine::Entries& entries,
                                            std::optional<Timestamp> newest, std::uint64_t& messages) {
    bool damage = false;
    std::vector<StoredMessage> gone;
    gone.reserve(entries.size());
    auto& record = draft.record();
    for (const auto entry : entries) {
        auto retained = decode_retained(entry);
        if (!retained) {  // its body can't be named: it is left for a repair, and the others go
            damage = true;
            report_damage(account, retained.error());
            continue;
        }
        if (newest && retained->deleted >= *newest) continue;
        ++messages;
        subtract(record.retained_messages, 1);
        subtract(record.retained_octets, retained->message.octets);
        draft.batch.erase(std::string(entry.key));
        draft.batch.erase(keys::unique_id(retained->message.unique_id));
        gone.push_back(std::move(retained->message));
    }
    if (auto released = co_await release_bodies(account, draft, gone); !released) co_return pass_on(released);
    co_return damage;
}

}  // namespace poplar::mailstore
