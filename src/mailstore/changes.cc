#include "mailstore/changes.h"

#include <algorithm>
#include <unordered_set>

#include "base/log.h"
#include "base/random.h"
#include "mailstore/lookup.h"

namespace poplar::mailstore {

namespace {

constexpr int kAttempts = 8;          // before a change that others keep overtaking is given up
constexpr std::size_t kFewGets = 16;  // more messages are found faster by a scan
constexpr std::size_t kPage = 1000;   // entries a scan

bool worth_repeating(Errc code) { return code == Errc::conflict || code == Errc::outcome_unknown; }

void subtract(std::uint64_t& counter, std::uint64_t by) { counter -= std::min(counter, by); }

void report_damage(AccountId account, const Error& error) {
    log::error("mailstore.damaged_record", {{"account", account.value}, {"detail", error.detail()}});
}

}  // namespace

Changes::Changes(engine::Engine& engine, const Clock& clock, const Options& options)
    : engine_(engine), clock_(clock), options_(options), generation_(random_text(kGenerationLength)) {}

template <class Attempt>
auto Changes::repeated(Attempt attempt) -> decltype(attempt()) {
    for (int n = 1;; ++n) {
        auto result = co_await attempt();
        if (result || n == kAttempts || !worth_repeating(result.error().code())) co_return result;
    }
}

Task<Result<MailboxState>> Changes::load(AccountId account, Hot& hot) {
    if (hot) co_return *hot;
    // The number first: a commit between the two reads then shows as a conflict, not as a counter gone wrong.
    auto number = co_await engine_.change_number(account);
    if (!number) co_return pass_on(number);
    MailboxState state;
    state.number = *number;
    auto value = co_await engine_.get(account, keys::mailbox());
    if (value) {
        auto record = decode_mailbox(*value);
        if (!record) co_return pass_on(record);
        state.record = std::move(*record);
    } else if (value.error().code() == Errc::not_found) {
        state.record.generation = random_text(kGenerationLength);  // stored with the first commit
    } else {
        co_return pass_on(value);
    }
    hot = state;
    co_return state;
}

Task<Result<>> Changes::commit(AccountId account, Hot& hot, MailboxState state, engine::Batch batch) {
    batch.put(keys::mailbox(), encode(state.record));
    hot.reset();  // not known until the commit's outcome is
    auto number = co_await engine_.commit(account, std::move(batch), state.number);
    if (!number) co_return pass_on(number);
    state.number = *number;
    hot = std::move(state);
    co_return Result<>{};
}

// Appending

Task<> Changes::append_all(AccountId account, Hot& hot, std::vector<Append> appends) {
    for (auto& append : appends) append.body = engine_.next_body_id(account);
    std::vector<Result<Message>> results;
    Result<> done;
    for (int n = 1;; ++n) {
        done = co_await try_append(account, hot, appends, results);
        if (done || n == kAttempts || !worth_repeating(done.error().code())) break;
        if (done.error().code() != Errc::outcome_unknown) continue;
        // The batch may have happened; made again, its messages would be there twice.
        auto first = std::ranges::find_if(results, [](const auto& r) { return r.has_value(); });
        auto stored = co_await is_stored(account, **first);
        if (!stored) done = pass_on(stored);
        if (!stored || *stored) {
            if (stored) done = Result<>{};
            break;
        }
    }
    results.resize(appends.size());
    for (std::size_t i = 0; i < appends.size(); ++i) {
        if (!done && results[i]) results[i] = std::unexpected(done.error());
        appends[i].answer.send(std::move(results[i]));
    }
}

Task<Result<>> Changes::try_append(AccountId account, Hot& hot, const std::vector<Append>& appends,
                                   std::vector<Result<Message>>& results) {
    results.clear();
    auto state = co_await load(account, hot);
    if (!state) co_return pass_on(state);
    auto& record = state->record;
    if (record.closed) {  // between RCPT and the end of the message: nobody would ever find it
        for (std::size_t i = 0; i < appends.size(); ++i)
            results.push_back(fail(Errc::not_found, "the account is gone"));
        co_return Result<>{};
    }
    const auto generation = generation_now(record.generation, generation_);
    engine::Batch batch;
    std::unordered_set<std::string_view> given;
    for (const auto& [incoming, received, answer, body] : appends) {
        if (!incoming.unique_id.empty()) {
            if (!given.insert(incoming.unique_id).second) {
                results.push_back(fail(Errc::exists, "the unique-id comes twice"));
                continue;
            }
            auto admitted = co_await admit(account, generation, incoming.unique_id);
            if (!admitted) {
                results.push_back(pass_on(admitted));
                continue;
            }
        }
        Message message;
        message.order = record.next_order;
        message.unique_id = incoming.unique_id.empty() ? make_unique_id(generation, message.order) : incoming.unique_id;
        message.body = body;
        message.octets = incoming.head.size() + incoming.content.octets;
        message.wire_octets = incoming.head.size() + (incoming.content.staged ? incoming.content.staged->size() : 0);
        message.received = received;
        message.ascii_octets = incoming.ascii_octets;

        ++record.next_order.value;
        count_in(record.totals, message);
        batch.put(keys::message(message.order), encode(message));
        if (!is_found_by_order(message))
            batch.put(keys::unique_id(message.unique_id), encode(Place{Place::Area::live, message.order, {}}));
        batch.add_body(body, incoming.head, incoming.content.staged);
        results.push_back(std::move(message));
    }
    if (batch.empty()) co_return Result<>{};
    co_return co_await commit(account, hot, std::move(*state), std::move(batch));
}

/// Whether a message may be given this unique-id, brought along from elsewhere.
Task<Result<>> Changes::admit(AccountId account, std::string_view generation, const std::string& unique_id) {
    if (unique_id.starts_with(generation)) co_return fail(Errc::exists, "the mailbox makes such unique-ids itself");
    auto found = co_await look_up(engine_, account, unique_id, engine_.snapshot(account));
    if (found) co_return fail(Errc::exists, "a message has this unique-id");
    if (found.error().code() != Errc::not_found) co_return pass_on(found);
    co_return Result<>{};
}

Task<Result<bool>> Changes::is_stored(AccountId account, Message message) {
    auto found = co_await still_there(account, {Victim{message.order, message.body}});
    if (!found) co_return pass_on(found);
    co_return !found->empty();
}

// Removing

Task<Result<>> Changes::remove(AccountId account, Hot& hot, std::vector<Victim> victims, std::string reason,
                               std::optional<engine::Batch::Fence> fence) {
    auto attempt = [&] { return try_remove(account, hot, victims, reason, fence); };
    co_return co_await repeated(attempt);
}

Task<Result<>> Changes::try_remove(AccountId account, Hot& hot, const std::vector<Victim>& victims,
                                   std::string_view reason, const std::optional<engine::Batch::Fence>& fence) {
    auto state = co_await load(account, hot);
    if (!state) co_return pass_on(state);
    auto found = co_await still_there(account, victims);
    if (!found) co_return pass_on(found);
    if (found->empty()) co_return Result<>{};

    auto& record = state->record;
    RetainedMessage retained;
    retained.deleted = clock_.now();
    retained.expires = retained.deleted + options_.retention;
    retained.reason = reason;
    engine::Batch batch;
    batch.fence = fence;
    for (auto& message : *found) {
        retained.message = std::move(message);
        const auto order = retained.message.order;
        count_out(record.totals, retained.message);
        ++record.totals.retained_messages;
        record.totals.retained_octets += retained.message.octets;
        batch.erase(keys::message(order));
        batch.put(keys::retained(retained.expires, order), encode(retained));
        batch.put(keys::unique_id(retained.message.unique_id),
                  encode(Place{Place::Area::retained, order, retained.expires}));
    }
    auto& earliest = record.earliest_expiry;
    if (earliest == Timestamp{} || retained.expires < earliest) earliest = retained.expires;
    co_return co_await commit(account, hot, std::move(*state), std::move(batch));
}

Task<Result<std::vector<Message>>> Changes::still_there(AccountId account, const std::vector<Victim>& victims) {
    std::vector<Message> found;
    if (victims.size() <= kFewGets) {
        for (const auto& victim : victims) {
            auto key = keys::message(victim.order);
            auto value = co_await engine_.get(account, key);
            if (!value && value.error().code() == Errc::not_found) continue;
            if (!value) co_return pass_on(value);
            auto message = decode_message({std::move(key), std::move(*value)});
            if (!message) co_return pass_on(message);
            if (message->body == victim.body) found.push_back(std::move(*message));
        }
        co_return found;
    }
    auto range = keys::messages(victims.front().order);
    range.end = keys::message(OrderKey(victims.back().order.value + 1));
    auto next = victims.begin();
    for (;;) {
        auto page = co_await engine_.scan(account, range, kPage);
        if (!page) co_return pass_on(page);
        for (const auto entry : *page) {
            while (next != victims.end() && keys::message(next->order) < entry.key) ++next;
            if (next == victims.end() || keys::message(next->order) != entry.key) continue;
            auto message = decode_message(entry);
            if (!message) co_return pass_on(message);
            if (message->body == next->body) found.push_back(std::move(*message));
        }
        if (page->size() < kPage) co_return found;
        range.begin_behind(page->back().key);
    }
}

Task<Result<>> Changes::remove_by_id(AccountId account, Hot& hot, std::vector<std::string> unique_ids,
                                     std::string reason) {
    std::ranges::sort(unique_ids);
    unique_ids.erase(std::ranges::unique(unique_ids).begin(), unique_ids.end());
    auto attempt = [&] { return try_remove_by_id(account, hot, unique_ids, reason); };
    co_return co_await repeated(attempt);
}

Task<Result<>> Changes::try_remove_by_id(AccountId account, Hot& hot, const std::vector<std::string>& unique_ids,
                                         std::string_view reason) {
    std::vector<Victim> victims;
    auto snapshot = engine_.snapshot(account);
    for (const auto& unique_id : unique_ids) {
        auto found = co_await look_up(engine_, account, unique_id, snapshot);
        if (!found && found.error().code() == Errc::not_found) continue;
        if (!found) co_return pass_on(found);
        const auto& message = found->retained.message;
        if (found->area == Place::Area::live) victims.push_back({message.order, message.body});
    }
    std::ranges::sort(victims, {}, &Victim::order);
    co_return co_await try_remove(account, hot, victims, reason, std::nullopt);
}

// Restoring

Task<Result<Message>> Changes::restore(AccountId account, Hot& hot, std::string unique_id) {
    auto attempt = [&] { return try_restore(account, hot, unique_id); };
    co_return co_await repeated(attempt);
}

Task<Result<Message>> Changes::try_restore(AccountId account, Hot& hot, const std::string& unique_id) {
    auto state = co_await load(account, hot);
    if (!state) co_return pass_on(state);
    auto found = co_await look_up(engine_, account, unique_id, engine_.snapshot(account));
    if (!found) co_return pass_on(found);
    auto& message = found->retained.message;
    // Nothing to do, also when an unknown outcome is repeated.
    if (found->area == Place::Area::live) co_return std::move(message);

    auto& record = state->record;
    subtract(record.totals.retained_messages, 1);
    subtract(record.totals.retained_octets, message.octets);
    count_in(record.totals, message);
    record.next_order.value += 2;  // ListVersion::upheavals
    if (record.totals.retained_messages == 0) record.earliest_expiry = {};
    engine::Batch batch;
    batch.erase(keys::retained(found->retained.expires, message.order));
    batch.put(keys::message(message.order), encode(message));
    if (is_found_by_order(message))
        batch.erase(keys::unique_id(message.unique_id));
    else
        batch.put(keys::unique_id(message.unique_id), encode(Place{Place::Area::live, message.order, {}}));
    auto done = co_await commit(account, hot, std::move(*state), std::move(batch));
    if (!done) co_return pass_on(done);
    co_return std::move(message);
}

// Forgetting

Task<Result<Changes::Expired>> Changes::mend_times(AccountId account, Hot& hot, Timestamp now, std::string from) {
    auto attempt = [&] { return try_mend_times(account, hot, now, from); };
    co_return co_await repeated(attempt);
}

Task<Result<Changes::Expired>> Changes::try_mend_times(AccountId account, Hot& hot, Timestamp now,
                                                       const std::string& from) {
    auto state = co_await load(account, hot);
    if (!state) co_return pass_on(state);
    Expired mended;
    if (state->record.totals.retained_messages == 0) co_return mended;
    // What expires sooner is kept no longer than any other.
    auto range = keys::retained();
    range.begin = from.empty() ? keys::retained_until(now + options_.retention + kFuture).end : from;
    auto entries = co_await engine_.scan(account, range, options_.forget_messages);
    if (!entries) co_return pass_on(entries);
    engine::Batch batch;
    for (const auto entry : *entries) {
        auto retained = decode_retained(entry);
        if (!retained || retained->deleted <= now + kFuture) continue;  // damaged: expire() tells of it
        ++mended.messages;
        retained->deleted = now;
        retained->expires = now + options_.retention;
        const auto order = retained->message.order;
        batch.erase(std::string(entry.key));
        batch.put(keys::retained(retained->expires, order), mailstore::encode(*retained));
        batch.put(keys::unique_id(retained->message.unique_id),
                  mailstore::encode(Place{Place::Area::retained, order, retained->expires}));
    }
    if (entries->size() == options_.forget_messages) {
        range.begin_behind(entries->back().key);
        mended.next = range.begin;
    }
    if (batch.empty()) co_return mended;
    auto& earliest = state->record.earliest_expiry;
    earliest = std::min(earliest, now + options_.retention);
    auto done = co_await commit(account, hot, std::move(*state), std::move(batch));
    if (!done) co_return pass_on(done);
    co_return mended;
}

Task<Result<Changes::Expired>> Changes::expire(AccountId account, Hot& hot, Timestamp now, std::string from) {
    auto attempt = [&] { return try_expire(account, hot, now, from); };
    co_return co_await repeated(attempt);
}

Task<Result<Changes::Expired>> Changes::try_expire(AccountId account, Hot& hot, Timestamp now,
                                                   const std::string& from) {
    auto state = co_await load(account, hot);
    if (!state) co_return pass_on(state);
    auto& record = state->record;
    Expired expired;
    if (record.earliest_expiry == Timestamp{} || record.earliest_expiry > now) co_return expired;
    auto range = keys::retained_until(now);
    if (!from.empty()) range.begin = from;
    auto entries = co_await engine_.scan(account, range, options_.forget_messages);
    if (!entries) co_return pass_on(entries);

    engine::Batch batch;
    bool damage = false;
    for (const auto entry : *entries) {
        auto retained = decode_retained(entry);
        if (!retained) {  // its body can't be named: it is left for a repair, and the others go
            damage = true;
            report_damage(account, retained.error());
            continue;
        }
        ++expired.messages;
        subtract(record.totals.retained_messages, 1);
        subtract(record.totals.retained_octets, retained->message.octets);
        batch.erase(std::string(entry.key));
        batch.erase(keys::unique_id(retained->message.unique_id));
        batch.erase_body(retained->message.body);
    }
    const Timestamp before = record.earliest_expiry;
    if (entries->size() == options_.forget_messages) {
        range.begin_behind(entries->back().key);
        expired.next = range.begin;
    } else {
        auto left = co_await engine_.scan(account, {keys::retained().begin, range.begin}, 1);  // damaged ones of before
        if (!left) co_return pass_on(left);
        auto later = co_await engine_.scan(account, {range.end, keys::retained().end}, 1);
        if (!later) co_return pass_on(later);
        if (!damage && left->empty())
            record.earliest_expiry = later->empty() ? Timestamp{} : keys::expiry_of(later->front().key);
    }
    if (batch.empty() && record.earliest_expiry == before) co_return expired;
    auto done = co_await commit(account, hot, std::move(*state), std::move(batch));
    if (!done) co_return pass_on(done);
    co_return expired;
}

Task<Result<>> Changes::close(AccountId account, Hot& hot) {
    auto attempt = [&] { return try_close(account, hot); };
    co_return co_await repeated(attempt);
}

Task<Result<>> Changes::try_close(AccountId account, Hot& hot) {
    auto state = co_await load(account, hot);
    if (!state) co_return pass_on(state);
    if (state->record.closed) co_return Result<>{};
    state->record.closed = true;
    co_return co_await commit(account, hot, std::move(*state), {});
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
    MailboxRecord last;
    last.generation = state->record.generation;
    last.next_order = state->record.next_order;
    last.closed = state->record.closed || afterwards == Afterwards::closed;
    for (auto area : {Place::Area::live, Place::Area::retained}) {
        auto done = co_await purge_area(account, hot, area);
        if (!done) co_return done;
    }
    co_return co_await purge_index(account, hot, std::move(last));
}

Task<Result<>> Changes::purge_area(AccountId account, Hot& hot, Place::Area area) {
    const bool live = area == Place::Area::live;
    for (;;) {
        auto entries =
            co_await engine_.scan(account, live ? keys::messages() : keys::retained(), options_.forget_messages);
        if (!entries) co_return pass_on(entries);
        if (entries->empty()) co_return Result<>{};
        auto state = co_await load(account, hot);
        if (!state) co_return pass_on(state);
        auto& totals = state->record.totals;
        engine::Batch batch;
        for (const auto entry : *entries) {
            batch.erase(std::string(entry.key));
            Result<Message> message;
            if (live) {
                message = decode_message(entry);
            } else if (auto retained = decode_retained(entry); retained) {
                message = std::move(retained->message);
            } else {
                message = pass_on(retained);
            }
            if (!message) {  // its body can't be named and keeps its bytes
                subtract(live ? totals.messages : totals.retained_messages, 1);
                report_damage(account, message.error());
                continue;
            }
            if (live) {
                count_out(totals, *message);
            } else {
                subtract(totals.retained_messages, 1);
                subtract(totals.retained_octets, message->octets);
            }
            batch.erase(keys::unique_id(message->unique_id));
            batch.erase_body(message->body);
        }
        if (totals.retained_messages == 0) state->record.earliest_expiry = {};
        auto done = co_await commit(account, hot, std::move(*state), std::move(batch));
        if (!done) co_return done;
    }
}

/// What is left once all messages are gone: index entries of damaged messages, and the mailbox record, which `last`
/// takes the place of if it is closed.
Task<Result<>> Changes::purge_index(AccountId account, Hot& hot, MailboxRecord last) {
    const auto wanted = last.closed ? encode(last) : std::string();
    for (;;) {
        auto entries = co_await engine_.scan(account, keys::unique_ids(), options_.forget_messages);
        if (!entries) co_return pass_on(entries);
        auto mailbox = co_await engine_.get(account, keys::mailbox());
        if (!mailbox && mailbox.error().code() != Errc::not_found) co_return pass_on(mailbox);
        if (entries->empty() && mailbox.value_or("") == wanted) {
            hot.reset();  // if it is open, the next message begins a new generation
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
        for (const auto entry : *entries) batch.erase(std::string(entry.key));
        if (entries->size() < options_.forget_messages) {
            if (last.closed)
                batch.put(keys::mailbox(), wanted);
            else
                batch.erase(keys::mailbox());
        }
        hot.reset();
        number = co_await engine_.commit(account, std::move(batch), *number);
        if (!number) co_return pass_on(number);
    }
}

}  // namespace poplar::mailstore
