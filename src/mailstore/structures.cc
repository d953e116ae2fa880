// Rows that are kept of a message once somebody asked for them: its structure, which can be made anew from its octets
// at any time, and its thread, which is its for ever. Both belong to the body, so that they stay when the message is
// moved, and copies share them. Nothing here is a change that others are told of.
#include <map>
#include <set>

#include "mailstore/changes.h"
#include "mailstore/keys.h"

namespace poplar::mailstore {

namespace {
std::string key_of(const ThreadMark& mark) { return keys::thread_mark({mark.data(), mark.size()}); }
}  // namespace

Task<Result<>> Changes::keep_structures(AccountId account, Hot& hot, std::vector<Described> made) {
    auto attempt = [&] { return try_keep_structures(account, hot, made); };
    co_return co_await repeated(attempt);
}

Task<Result<>> Changes::try_keep_structures(AccountId account, Hot& hot, const std::vector<Described>& made) {
    auto draft = co_await begin(account, hot);
    if (!draft) co_return pass_on(draft);
    std::set<engine::BodyId> bodies;
    for (const auto& [message, structure] : made) {
        auto stored = co_await is_stored(account, message.mailbox, message);
        if (!stored) co_return pass_on(stored);
        if (!*stored || !bodies.insert(message.body).second) continue;
        auto before = co_await engine_.get(account, keys::structure(message.body));
        if (!before && before.error().code() != Errc::not_found) co_return pass_on(before);
        if (!before) ++draft->record().kept.structures;
        draft->batch.put(keys::structure(message.body), structure);
    }
    if (draft->batch.empty()) co_return Result<>{};
    co_return co_await commit(account, hot, std::move(*draft));
}

Task<Result<bool>> Changes::drop_structures(AccountId account, Hot& hot) {
    auto attempt = [&] { return try_drop_structures(account, hot); };
    co_return co_await repeated(attempt);
}

// A commit's worth. False: there are no more.
Task<Result<bool>> Changes::try_drop_structures(AccountId account, Hot& hot) {
    auto draft = co_await begin(account, hot);
    if (!draft) co_return pass_on(draft);
    auto entries = co_await engine_.scan(account, keys::structures(), options_.forget_messages);
    if (!entries) co_return pass_on(entries);
    if (entries->empty()) co_return false;
    for (const auto entry : *entries) draft->batch.erase(std::string(entry.key));
    const bool more = entries->size() == options_.forget_messages;
    subtract(draft->record().kept.structures, entries->size());
    auto done = co_await commit(account, hot, std::move(*draft));
    if (!done) co_return pass_on(done);
    co_return more;
}

Task<Result<std::vector<ThreadId>>> Changes::join_threads(AccountId account, Hot& hot, std::vector<Marked> messages) {
    auto attempt = [&] { return try_join_threads(account, hot, messages); };
    co_return co_await repeated(attempt);
}

// A message joins the thread of the first mark of its own that a message before it left: its own (another copy of it is
// here, or an answer to it came earlier), then that of what it answers, and so on back. With none, it begins a thread.
Task<Result<std::vector<ThreadId>>> Changes::try_join_threads(AccountId account, Hot& hot,
                                                              const std::vector<Marked>& messages) {
    auto draft = co_await begin(account, hot);
    if (!draft) co_return pass_on(draft);
    std::vector<ThreadId> threads;
    std::map<ThreadMark, ThreadId> left;           // by this commit
    std::map<engine::BodyId, ThreadId> of_bodies;  // that this commit gives one
    for (const auto& [message, marks] : messages) {
        if (auto found = of_bodies.find(message.body); found != of_bodies.end()) {
            threads.push_back(found->second);
            continue;
        }
        auto before = co_await engine_.get(account, keys::thread(message.body));
        if (!before && before.error().code() != Errc::not_found) co_return pass_on(before);
        if (before) {
            auto row = decode_thread(*before);
            if (!row) co_return pass_on(row);
            threads.push_back(row->thread);
            continue;
        }
        ThreadRow row{{marks.own}};
        bool joined = false;
        auto meet = [&](const ThreadMark& mark) -> Task<Result<>> {
            std::optional<ThreadId> thread;
            if (auto found = left.find(mark); found != left.end()) {
                thread = found->second;
            } else {
                auto value = co_await engine_.get(account, key_of(mark));
                if (!value && value.error().code() != Errc::not_found) co_return pass_on(value);
                if (value) {
                    auto decoded = decode_thread_id(*value);
                    if (!decoded) co_return pass_on(decoded);
                    thread = *decoded;
                }
            }
            if (!thread)
                row.left.push_back(mark);
            else if (!std::exchange(joined, true))
                row.thread = *thread;
            co_return Result<>{};
        };
        if (marks.named)
            if (auto met = co_await meet(marks.own); !met) co_return pass_on(met);
        for (const auto& mark : marks.answers)
            if (auto met = co_await meet(mark); !met) co_return pass_on(met);
        threads.push_back(row.thread);
        auto stored = co_await is_stored(account, message.mailbox, message);
        if (!stored) co_return pass_on(stored);
        if (!*stored) continue;  // it went meanwhile, or is retained: nothing would ever take its marks away
        for (const auto& mark : row.left) {
            left.emplace(mark, row.thread);
            draft->batch.put(key_of(mark), encode(row.thread));
        }
        draft->batch.put(keys::thread(message.body), encode(row));
        of_bodies.emplace(message.body, row.thread);
        ++draft->record().kept.threads;
    }
    if (draft->batch.empty()) co_return threads;
    auto done = co_await commit(account, hot, std::move(*draft));
    if (!done) co_return pass_on(done);
    co_return threads;
}

Task<Result<>> Changes::release_body(AccountId account, Draft& draft, engine::BodyId body) {
    draft.batch.erase_body(body);
    auto& kept = draft.record().kept;
    if (kept.structures > 0) {
        auto found = co_await engine_.get(account, keys::structure(body));
        if (!found && found.error().code() != Errc::not_found) co_return pass_on(found);
        if (found) {
            --kept.structures;
            draft.batch.erase(keys::structure(body));
        }
    }
    if (kept.threads > 0) {
        auto found = co_await engine_.get(account, keys::thread(body));
        if (!found && found.error().code() != Errc::not_found) co_return pass_on(found);
        if (found) {
            --kept.threads;
            draft.batch.erase(keys::thread(body));
            if (auto row = decode_thread(*found))
                for (const auto& mark : row->left) draft.batch.erase(key_of(mark));
        }
    }
    co_return Result<>{};
}

}  // namespace poplar::mailstore
