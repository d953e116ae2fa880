// Forgetting: what was retained long enough, and rows of the change log that nobody waits for.
#include <algorithm>
#include <map>

#include "mailstore/changes.h"
#include "mailstore/keys.h"

namespace poplar::mailstore {

Task<Result<Changes::Expired>> Changes::mend_times(AccountId account, Hot& hot, Timestamp now, std::string from) {
    auto attempt = [&] { return try_mend_times(account, hot, now, from); };
    co_return co_await repeated(attempt);
}

Task<Result<Changes::Expired>> Changes::try_mend_times(AccountId account, Hot& hot, Timestamp now,
                                                       const std::string& from) {
    auto draft = co_await begin(account, hot);
    if (!draft) co_return pass_on(draft);
    Expired mended;
    if (draft->record().retained_messages == 0) co_return mended;
    // Begins behind those that expire in time: they are kept no longer than any other.
    auto range = keys::retained();
    const auto keep = draft->record().retention ? draft->record().retention->keep : options_.retention;
    range.begin = from.empty() ? keys::retained_until(now + keep + kFuture).end : from;
    auto entries = co_await engine_.scan(account, range, options_.forget_messages);
    if (!entries) co_return pass_on(entries);
    for (const auto entry : *entries) {
        auto retained = decode_retained(entry);
        if (!retained || retained->deleted <= now + kFuture) continue;  // damaged: expire() tells of it
        ++mended.messages;
        retained->deleted = now;
        keep_until_due(*draft, std::move(*retained), entry);
    }
    co_return co_await end_page(account, hot, std::move(*draft), std::move(range), *entries, std::move(mended));
}

Task<Result<Changes::Expired>> Changes::end_page(AccountId account, Hot& hot, Draft draft, engine::KeyRange range,
                                                 const engine::Entries& entries, Expired done) {
    if (entries.size() == options_.forget_messages) {
        range.begin_behind(entries.back().key);
        done.next = std::move(range.begin);
    }
    if (draft.batch.empty()) co_return done;
    auto committed = co_await commit(account, hot, std::move(draft));
    if (!committed) co_return pass_on(committed);
    co_return done;
}

Task<Result<Changes::Expired>> Changes::expire(AccountId account, Hot& hot, Timestamp now, std::string from) {
    auto attempt = [&] { return try_expire(account, hot, now, from); };
    co_return co_await repeated(attempt);
}

Task<Result<Changes::Expired>> Changes::try_expire(AccountId account, Hot& hot, Timestamp now,
                                                   const std::string& from) {
    auto draft = co_await begin(account, hot);
    if (!draft) co_return pass_on(draft);
    auto& record = draft->record();
    Expired expired;
    if (from.empty())
        if (auto trimmed = co_await trim_log(account, *draft, now); !trimmed) co_return pass_on(trimmed);
    if (record.earliest_expiry == Timestamp{} || record.earliest_expiry > now) {
        if (draft->batch.empty()) co_return expired;
        auto done = co_await commit(account, hot, std::move(*draft));
        if (!done) co_return pass_on(done);
        co_return expired;
    }
    auto range = keys::retained_until(now);
    if (!from.empty()) range.begin = from;
    auto entries = co_await engine_.scan(account, range, options_.forget_messages);
    if (!entries) co_return pass_on(entries);

    auto damage = co_await forget_retained(account, *draft, *entries, std::nullopt, expired.messages);
    if (!damage) co_return pass_on(damage);
    const Timestamp before = record.earliest_expiry;
    if (entries->size() == options_.forget_messages) {
        range.begin_behind(entries->back().key);
        expired.next = range.begin;
    } else {
        auto left = co_await engine_.scan(account, {keys::retained().begin, range.begin}, 1);  // damaged, left earlier
        if (!left) co_return pass_on(left);
        auto later = co_await engine_.scan(account, {range.end, keys::retained().end}, 1);
        if (!later) co_return pass_on(later);
        if (!*damage && left->empty())
            record.earliest_expiry = later->empty() ? Timestamp{} : keys::expiry_of(later->front().key);
    }
    if (draft->batch.empty() && record.earliest_expiry == before) co_return expired;
    auto done = co_await commit(account, hot, std::move(*draft));
    if (!done) co_return pass_on(done);
    co_return expired;
}

Task<Result<>> Changes::release_bodies(AccountId account, Draft& draft, std::span<const StoredMessage> messages) {
    std::map<engine::BodyId, std::uint64_t> counts;  // of bodies that several messages have, or had
    for (const auto& message : messages) {
        if (!message.copied) {
            auto released = co_await release_body(account, draft, message.body);
            if (!released) co_return released;
            continue;
        }
        auto found = counts.find(message.body);
        if (found == counts.end()) {
            auto value = co_await engine_.get(account, keys::copies(message.body));
            if (!value && value.error().code() == Errc::not_found)
                co_return fail(Errc::corrupt, "nothing counts the messages of a copied body");
            if (!value) co_return pass_on(value);
            auto count = decode_number(*value);
            if (!count) co_return pass_on(count);
            found = counts.emplace(message.body, *count).first;
        }
        subtract(found->second, 1);
    }
    for (auto [body, count] : counts) {
        if (count != 0) {
            draft.batch.put(keys::copies(body), encode_number(count));
            continue;
        }
        draft.batch.erase(keys::copies(body));
        if (auto released = co_await release_body(account, draft, body); !released) co_return released;
    }
    co_return Result<>{};
}

Task<Result<>> Changes::trim_log(AccountId account, Draft& draft, Timestamp now) {
    const auto& log = draft.record().log;
    if (!log || log->rows == 0 || log->oldest > now - options_.change_log_age) co_return Result<>{};
    auto entries = co_await engine_.scan(account, keys::changes(), options_.forget_messages);
    if (!entries) co_return pass_on(entries);
    std::uint64_t old = 0;
    for (const auto entry : *entries) {
        const auto time = decode_change_time(entry.value);
        if (time && *time > now - options_.change_log_age) break;
        ++old;
    }
    if (old == 0) co_return Result<>{};
    co_return co_await forget_rows(account, draft, old);
}

}  // namespace poplar::mailstore
