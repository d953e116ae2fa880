// Commits of the queue: a message comes in, a part changes, a message is done with.
#include "queue/queue.h"

#include <algorithm>
#include <map>

#include "mail/address.h"

namespace poplar::queue {

namespace {

constexpr std::size_t kPage = 1000;

/// The part of an address that says where it leads.
std::string domain_of(const std::string& address) { return address.substr(address.rfind('@') + 1); }

void put(engine::Batch& batch, Part& part) {
    const auto before = part.stored_due;
    part.stored_due.reset();
    if (part.open() && !part.held) part.stored_due = part.due;
    if (before != part.stored_due) {  // a batch must not name a key twice
        if (before) batch.erase(due_key(*before, part.message, part.number));
        if (part.stored_due) batch.put(due_key(part.due, part.message, part.number), "");
    }
    batch.put(part_key(part.message, part.number), encode(part));
}

}  // namespace

Claim::~Claim() {
    if (queue_) queue_->release(part_);
}

Queue::Queue(engine::Engine& engine, const Clock& clock, Options options)
    : engine_(engine), clock_(clock), options_(options) {}

void Queue::on_due(std::function<void(Due)> listener) {
    std::lock_guard guard(mutex_);
    listener_ = std::move(listener);
}

void Queue::tell(const Part& part) {
    std::function<void(Due)> listener;
    {
        std::lock_guard guard(mutex_);
        listener = listener_;
    }
    if (listener && part.stored_due) listener({{part.message, part.number}, part.due});
}

std::optional<Claim> Queue::claim(const PartId& part) {
    std::lock_guard guard(mutex_);
    if (!claimed_.insert(part).second) return std::nullopt;
    return Claim(this, part);
}

void Queue::release(const PartId& part) {
    std::lock_guard guard(mutex_);
    claimed_.erase(part);
}

Task<Result<>> Queue::add(NewMessage added) {
    auto& message = added.message;
    auto taken = co_await engine_.get(kQueuePartition, message_key(message.id));
    if (taken) co_return fail(Errc::exists, "there is a message " + message.id + " already");
    if (taken.error().code() != Errc::not_found) co_return pass_on(taken);
    std::map<std::string, Part> by_domain;
    for (auto& recipient : added.recipients) {
        auto& part = by_domain[domain_of(recipient.address)];
        part.recipients.push_back(std::move(recipient));
    }
    message.body = engine_.next_body_id(kQueuePartition);
    message.parts = static_cast<std::uint32_t>(by_domain.size());
    message.arrived = clock_.now();
    message.finished.reset();
    engine::Batch batch;
    std::vector<Part> parts;
    for (auto& [domain, part] : by_domain) {
        part.message = message.id;
        part.number = static_cast<std::uint32_t>(parts.size());
        part.domain = domain;
        part.due = std::max(added.due, message.arrived);
        if (part.due > message.arrived) part.released = part.due;
        put(batch, part);
        parts.push_back(std::move(part));
    }
    batch.put(message_key(message.id), encode(message));
    for (auto& entry : added.beside) batch.put(std::move(entry.key), std::move(entry.value));
    batch.add_body(message.body, std::move(added.head), std::move(added.content));
    auto done = co_await engine_.commit(kQueuePartition, std::move(batch));
    if (!done) co_return pass_on(done);
    for (const auto& part : parts) tell(part);
    co_return Result<>();
}

Task<Result<std::vector<Due>>> Queue::due(Timestamp until, std::size_t limit, std::optional<Due> behind) {
    auto range = engine::KeyRange::prefix(std::string(kDue));
    if (behind) range.begin_behind(due_key(behind->time, behind->part.first, behind->part.second));
    range.end = due_key(until + std::chrono::milliseconds(1), "", 0);
    if (range.begin >= range.end) co_return std::vector<Due>();
    auto entries = co_await engine_.scan(kQueuePartition, std::move(range), limit);
    if (!entries) co_return pass_on(entries);
    std::vector<Due> found;
    for (const auto entry : *entries) {
        auto place = parse_due_key(entry.key);
        if (!place) co_return pass_on(place);
        found.push_back({{std::move(place->message), place->number}, place->time});
    }
    co_return found;
}

Task<Result<Part>> Queue::part(PartId id) {
    const auto key = part_key(id.first, id.second);
    auto value = co_await engine_.get(kQueuePartition, key);
    if (!value) co_return pass_on(value);
    co_return decode_part(key, *value);
}

Task<Result<Message>> Queue::message(std::string id) {
    if (id.size() != kIdLength) co_return fail(Errc::not_found, "no message " + id);
    auto value = co_await engine_.get(kQueuePartition, message_key(id));
    if (!value) co_return pass_on(value);
    co_return decode_message(id, *value);
}

Task<Result<std::vector<Part>>> Queue::parts(std::string id) {
    std::vector<Part> found;
    for (auto range = engine::KeyRange::prefix(parts_prefix(id));;) {
        auto entries = co_await engine_.scan(kQueuePartition, range, kPage);
        if (!entries) co_return pass_on(entries);
        for (const auto entry : *entries) {
            auto part = decode_part(entry.key, entry.value);
            if (!part) co_return pass_on(part);
            found.push_back(std::move(*part));
        }
        if (entries->size() < kPage) co_return found;
        range.begin_behind(entries->back().key);
    }
}

Task<Result<Item>> Queue::item(std::string id) {
    auto found = co_await message(id);
    if (!found) co_return pass_on(found);
    auto all = co_await parts(std::move(id));
    if (!all) co_return pass_on(all);
    co_return Item{std::move(*found), std::move(*all)};
}

Task<Result<std::vector<Item>>> Queue::list(std::string after, std::size_t limit, bool finished) {
    auto range = engine::KeyRange::prefix(std::string(kMessages));
    if (!after.empty()) range.begin_behind(message_key(after));
    std::vector<Item> items;
    while (items.size() < limit) {
        const auto wanted = std::min(kPage, limit - items.size());
        auto entries = co_await engine_.scan(kQueuePartition, range, wanted);
        if (!entries) co_return pass_on(entries);
        for (const auto entry : *entries) {
            auto message = decode_message(entry.key.substr(kMessages.size()), entry.value);
            if (!message) co_return pass_on(message);
            if (message->finished && !finished) continue;
            auto all = co_await parts(message->id);
            if (!all) co_return pass_on(all);
            items.push_back({std::move(*message), std::move(*all)});
        }
        if (entries->size() < wanted) break;
        range.begin_behind(entries->back().key);
    }
    co_return items;
}

Task<Result<std::unique_ptr<engine::BodyReader>>> Queue::open(const Message& message) {
    auto series = engine_.read_bodies(kQueuePartition);
    co_return co_await series->open(message.body);
}

namespace {

/// How many parts of a message are among these and have ended.
std::size_t ended(const std::vector<Part>& parts, std::string_view id) {
    return static_cast<std::size_t>(
        std::ranges::count_if(parts, [&](const auto& part) { return part.message == id && !part.open(); }));
}

}  // namespace

// Most messages have one part, and end with it. Where several parts of one may end at the same time, their commits take
// turns, so that the last one knows that it is.
Task<Result<>> Queue::save(std::vector<Part> parts) {
    std::set<std::string> ids;
    for (const auto& part : parts)
        if (!part.open()) ids.insert(part.message);
    std::vector<Message> perhaps_done;
    for (const auto& id : ids) {
        auto found = co_await message(id);
        if (!found) co_return pass_on(found);
        perhaps_done.push_back(std::move(*found));
    }
    std::set<std::size_t> locks;  // in order, so that two commits never wait for each other
    for (const auto& one : perhaps_done)
        if (ended(parts, one.id) < one.parts) locks.insert(std::hash<std::string>()(one.id) % finishing_.size());
    std::vector<AsyncMutex::Guard> turns;
    for (const auto lock : locks) {
        auto turn = co_await finishing_[lock].lock();
        turns.push_back(std::move(turn));
    }
    co_return co_await write(std::move(parts), std::move(perhaps_done));
}

Task<Result<>> Queue::write(std::vector<Part> saved, std::vector<Message> perhaps_done) {
    engine::Batch batch;
    for (auto& part : saved) put(batch, part);
    for (auto& one : perhaps_done)
        if (auto finished = co_await finish(batch, saved, one); !finished) co_return finished;
    auto done = co_await engine_.commit(kQueuePartition, std::move(batch));
    if (!done) co_return pass_on(done);
    for (const auto& part : saved) tell(part);
    co_return Result<>();
}

/// Adds the end of the message to the batch, if no part is open once that is committed.
Task<Result<>> Queue::finish(engine::Batch& batch, const std::vector<Part>& saved, Message& ending) {
    auto closed = ended(saved, ending.id);
    if (closed < ending.parts) {
        auto others = co_await parts(ending.id);
        if (!others) co_return pass_on(others);
        for (const auto& part : *others) {
            const bool here = std::ranges::any_of(
                saved, [&](const auto& one) { return one.message == ending.id && one.number == part.number; });
            closed += !here && !part.open();
        }
    }
    if (closed < ending.parts || ending.finished) co_return Result<>();
    ending.finished = clock_.now();
    batch.put(message_key(ending.id), encode(ending));
    batch.put(finished_key(*ending.finished + options_.keep_finished, ending.id), "");
    batch.erase_body(ending.body);
    co_return Result<>();
}

Task<Result<std::size_t>> Queue::forget_finished(std::size_t limit) {
    auto range = engine::KeyRange::prefix(std::string(kFinished));
    range.end = finished_key(clock_.now(), "");
    auto entries = co_await engine_.scan(kQueuePartition, std::move(range), limit);
    if (!entries) co_return pass_on(entries);
    engine::Batch batch;
    for (const auto entry : *entries) {
        auto place = parse_finished_key(entry.key);
        if (!place) co_return pass_on(place);
        auto all = co_await parts(place->message);
        if (!all) co_return pass_on(all);
        for (const auto& part : *all) batch.erase(part_key(part.message, part.number));
        batch.erase(message_key(place->message));
        batch.erase(std::string(entry.key));
    }
    if (batch.empty()) co_return std::size_t(0);
    auto done = co_await engine_.commit(kQueuePartition, std::move(batch));
    if (!done) co_return pass_on(done);
    co_return entries->size();
}

}  // namespace poplar::queue
