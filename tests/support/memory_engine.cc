// Partitions are maps, copied before a change while a snapshot has them; every call looks first whether it is to fail.
#include "tests/support/memory_engine.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <limits>
#include <map>
#include <mutex>
#include <unordered_map>

namespace poplar::test {

using namespace engine;

namespace {

constexpr std::size_t kChunk = 64 * 1024;

using Entries = std::map<std::string, std::string>;

struct Bytes final : StagedBody, std::enable_shared_from_this<Bytes> {
    std::string text;
    std::uint64_t size() const override { return text.size(); }
    std::unique_ptr<BodyReader> read() const override;
};

struct Body {
    std::string head;
    std::shared_ptr<const Bytes> rest;
    std::optional<std::uint64_t> damaged;
    std::uint64_t size() const { return head.size() + (rest ? rest->text.size() : 0); }
};

struct View final : Snapshot {
    View(std::shared_ptr<const Entries> e, ChangeNumber n, std::shared_ptr<std::atomic<std::size_t>> c)
        : entries(std::move(e)), number(n), count(std::move(c)) {
        ++*count;
    }
    ~View() override { --*count; }
    std::shared_ptr<const Entries> entries;
    ChangeNumber number;
    std::shared_ptr<std::atomic<std::size_t>> count;
};

struct Hint {
    std::uint64_t id;
    std::function<void()> call;
};

struct Partition {
    std::shared_ptr<Entries> entries = std::make_shared<Entries>();  // copied before a change if a snapshot has it
    std::shared_ptr<std::atomic<std::size_t>> snapshots = std::make_shared<std::atomic<std::size_t>>(0);
    std::map<BodyId, Body> bodies;
    std::map<std::string, FencingToken> leases;
    std::vector<Hint> hints;
    ChangeNumber number;
    BodyId last_body;
};

/// A failure that was asked for. `skip` calls succeed first.
struct Fault {
    int skip = 0, count = 0;
    Errc code = Errc::io;
    bool applied = false;
    bool take() {
        if (count == 0) return false;
        if (skip > 0) return --skip, false;
        return --count, true;
    }
};

Task<> suspend() {
    auto executor = co_await asio::this_coro::executor;
    co_await asio::post(executor, use_awaitable);
}

}  // namespace

struct MemoryEngine::Disk {
    mutable std::mutex mutex;
    std::unordered_map<PartitionId, Partition> partitions;
    bool all_at_hand = false;
    int commit_waits = 1;
    Fault commit_fault, read_fault, write_fault;
    std::function<void(PartitionId, const Batch&)> hook;
    std::uint64_t last_token = 0, last_hint = 0, commits = 0, reads = 0, rests = 0, staged_octets = 0;

    int waits_of_commits() const {
        std::lock_guard lock(mutex);
        return commit_waits;
    }

    std::optional<Error> read_failure() {
        ++reads;
        if (!read_fault.take()) return std::nullopt;
        return Error(read_fault.code, "this read was made to fail");
    }

    Result<std::string> get(PartitionId partition, const std::string& key, const Snapshot* snapshot) {
        if (auto failure = read_failure()) return std::unexpected(std::move(*failure));
        const Entries& entries =
            snapshot ? *static_cast<const View&>(*snapshot).entries : *partitions[partition].entries;
        auto found = entries.find(key);
        if (found == entries.end()) return fail(Errc::not_found, "no such key");
        return found->second;
    }

    static void apply(Partition& partition, const Batch& batch) {
        if (partition.entries.use_count() > 1) partition.entries = std::make_shared<Entries>(*partition.entries);
        for (const auto& key : batch.erased) partition.entries->erase(key);
        for (const auto& [key, value] : batch.puts) (*partition.entries)[key] = value;
        for (const auto& body : batch.bodies)
            partition.bodies[body.id] = {body.head, std::static_pointer_cast<const Bytes>(body.tail), std::nullopt};
        for (BodyId id : batch.erased_bodies) partition.bodies.erase(id);
        ++partition.number.value;
    }
};

namespace {

class Writer final : public BodyWriter {
public:
    Writer(std::function<std::optional<Error>()> failure, std::function<void(std::size_t)> count)
        : failure_(std::move(failure)), count_(std::move(count)) {}
    std::span<char> room() override { return room_; }
    Task<Result<>> write(std::string_view bytes) override {
        co_await suspend();
        if (auto failure = failure_()) co_return std::unexpected(std::move(*failure));
        bytes_->text.append(bytes);
        count_(bytes.size());
        co_return Result<>{};
    }
    Task<Result<std::shared_ptr<const StagedBody>>> finish(std::size_t) override {
        co_await suspend();
        if (auto failure = failure_()) co_return std::unexpected(std::move(*failure));
        co_return std::move(bytes_);
    }

private:
    std::function<std::optional<Error>()> failure_;
    std::function<void(std::size_t)> count_;
    std::shared_ptr<Bytes> bytes_ = std::make_shared<Bytes>();
    std::array<char, 1000> room_;
};

class Reader final : public BodyReader {
public:
    explicit Reader(Body body) : body_(std::move(body)) {}
    std::uint64_t size() const override { return body_.size(); }
    Task<Result<std::string_view>> next() override {
        co_await suspend();
        chunk_.clear();
        if (at_ < body_.head.size()) chunk_ = body_.head.substr(at_, kChunk);
        if (body_.rest && chunk_.size() < kChunk) {
            std::size_t from = at_ + chunk_.size() - body_.head.size();
            chunk_.append(body_.rest->text, from, kChunk - chunk_.size());
        }
        if (body_.damaged && *body_.damaged >= at_ && *body_.damaged < at_ + chunk_.size())
            co_return fail(Errc::corrupt, "this chunk was made to be damaged");
        at_ += chunk_.size();
        co_return std::string_view(chunk_);
    }
    Task<Result<>> verify() override {
        co_await suspend();
        at_ = 0;
        if (body_.damaged) co_return fail(Errc::corrupt, "this body was made to be damaged");
        co_return Result<>{};
    }
    bool make_whole() {
        if (body_.damaged || body_.size() > kChunk) return false;
        whole_.push_back(body_.head);
        if (body_.rest) whole_.push_back(body_.rest->text);
        return true;
    }
    std::span<const std::string_view> whole() const override { return whole_; }

private:
    Body body_;
    std::vector<std::string_view> whole_;
    std::size_t at_ = 0;
    std::string chunk_;
};

std::unique_ptr<BodyReader> Bytes::read() const {
    return std::make_unique<Reader>(Body{"", shared_from_this(), std::nullopt});
}

class HeldLease final : public Lease {
public:
    HeldLease(FencingToken token, std::function<void()> release) : token_(token), release_(std::move(release)) {}
    ~HeldLease() override { release_(); }
    FencingToken token() const override { return token_; }

private:
    FencingToken token_;
    std::function<void()> release_;
};

class HeldWatch final : public Watch {
public:
    explicit HeldWatch(std::function<void()> release) : release_(std::move(release)) {}
    ~HeldWatch() override { release_(); }

private:
    std::function<void()> release_;
};

}  // namespace

MemoryEngine::MemoryEngine(std::shared_ptr<Disk> disk) : state_(disk ? std::move(disk) : std::make_shared<Disk>()) {}
MemoryEngine::~MemoryEngine() = default;

Task<Result<std::string>> MemoryEngine::get(PartitionId partition, std::string key,
                                            std::shared_ptr<const Snapshot> snapshot) {
    co_await suspend();
    std::lock_guard lock(state_->mutex);
    co_return state_->get(partition, key, snapshot.get());
}

std::optional<Result<std::string>> MemoryEngine::try_get(PartitionId partition, std::string_view key,
                                                         const Snapshot* snapshot) {
    std::lock_guard lock(state_->mutex);
    if (!state_->all_at_hand) return std::nullopt;
    return state_->get(partition, std::string(key), snapshot);
}

void MemoryEngine::have_all_at_hand() {
    std::lock_guard lock(state_->mutex);
    state_->all_at_hand = true;
}

Task<Result<engine::Entries>> MemoryEngine::scan(PartitionId partition, KeyRange range, std::size_t limit,
                                                 std::shared_ptr<const Snapshot> snapshot) {
    co_await suspend();
    std::lock_guard lock(state_->mutex);
    if (auto failure = state_->read_failure()) co_return std::unexpected(std::move(*failure));
    const Entries& entries = snapshot ? *static_cast<const View&>(*snapshot).entries  //
                                      : *state_->partitions[partition].entries;
    engine::Entries out;
    for (auto at = entries.lower_bound(range.begin); at != entries.end() && at->first < range.end; ++at) {
        if (out.size() >= limit) break;
        out.add(at->first, at->second);
    }
    co_return out;
}

Task<Result<ChangeNumber>> MemoryEngine::change_number(PartitionId partition,
                                                       std::shared_ptr<const Snapshot> snapshot) {
    co_await suspend();
    std::lock_guard lock(state_->mutex);
    if (auto failure = state_->read_failure()) co_return std::unexpected(std::move(*failure));
    if (snapshot) co_return static_cast<const View&>(*snapshot).number;
    co_return state_->partitions[partition].number;
}

std::shared_ptr<const Snapshot> MemoryEngine::snapshot(PartitionId partition) {
    std::lock_guard lock(state_->mutex);
    auto& from = state_->partitions[partition];
    return std::make_shared<View>(from.entries, from.number, from.snapshots);
}

Task<Result<ChangeNumber>> MemoryEngine::commit(PartitionId partition, Batch batch,
                                                std::optional<ChangeNumber> expected) {
    assert(batch.names_keys_once());
    for (int waits = state_->waits_of_commits(); waits > 0; --waits) co_await suspend();
    std::function<void(PartitionId, const Batch&)> hook;
    {
        std::lock_guard lock(state_->mutex);
        hook = state_->hook;
    }
    if (hook) hook(partition, batch);
    std::vector<Hint> hints;
    Result<ChangeNumber> result;
    {
        std::lock_guard lock(state_->mutex);
        auto& to = state_->partitions[partition];
        if (expected && to.number != *expected) co_return fail(Errc::conflict, "the change number is another");
        for (const auto& fence : batch.fences) {
            auto held = to.leases.find(fence.lease);
            if (held == to.leases.end() || held->second != fence.token)
                co_return fail(Errc::denied, "the lease is not held any more");
        }
        for (const auto& put : batch.puts)
            if (put.key.empty() || put.key.size() > 1000) co_return fail(Errc::invalid, "a key has 1 to 1,000 octets");
        bool failing = state_->commit_fault.take();
        if (!failing || state_->commit_fault.applied) {
            Disk::apply(to, batch);
            hints = to.hints;
            result = to.number;
            if (!failing) ++state_->commits;
        }
        if (failing) result = fail(state_->commit_fault.code, "this commit was made to fail");
    }
    for (const auto& hint : hints) hint.call();
    co_await suspend();
    co_return result;
}

BodyId MemoryEngine::next_body_id(PartitionId partition) {
    std::lock_guard lock(state_->mutex);
    auto& last = state_->partitions[partition].last_body;
    ++last.value;
    return last;
}

std::unique_ptr<BodyWriter> MemoryEngine::write_body(std::uint64_t) {
    auto failure = [state = state_]() -> std::optional<Error> {
        std::lock_guard lock(state->mutex);
        if (!state->write_fault.take()) return std::nullopt;
        return Error(state->write_fault.code, "this write was made to fail");
    };
    auto count = [state = state_](std::size_t octets) {
        std::lock_guard lock(state->mutex);
        state->staged_octets += octets;
    };
    return std::make_unique<Writer>(std::move(failure), std::move(count));
}

std::unique_ptr<BodySeries> MemoryEngine::read_bodies(PartitionId partition) {
    class Series final : public BodySeries {
    public:
        Series(std::shared_ptr<Disk> state, PartitionId partition) : state_(std::move(state)), partition_(partition) {}
        Task<Result<std::unique_ptr<BodyReader>>> open(BodyId id) override {
            co_await suspend();
            std::lock_guard lock(state_->mutex);
            auto& from = state_->partitions[partition_];
            auto found = from.bodies.find(id);
            if (found == from.bodies.end()) co_return fail(Errc::not_found, "no such body");
            opened_ = true;
            co_return std::make_unique<Reader>(found->second);
        }
        std::unique_ptr<BodyReader> try_open_whole(BodyId id) override {
            std::lock_guard lock(state_->mutex);
            auto& bodies = state_->partitions[partition_].bodies;
            auto found = bodies.find(id);
            if (found == bodies.end()) return nullptr;
            auto reader = std::make_unique<Reader>(found->second);
            if (!reader->make_whole()) return nullptr;
            opened_ = true;
            return reader;
        }
        void release_files() override {
            std::lock_guard lock(state_->mutex);
            if (std::exchange(opened_, false)) ++state_->rests;
        }

    private:
        std::shared_ptr<Disk> state_;
        PartitionId partition_;
        bool opened_ = false;  // since files were released
    };
    return std::make_unique<Series>(state_, partition);
}

Task<Result<std::unique_ptr<Lease>>> MemoryEngine::lease(PartitionId partition, std::string name) {
    co_await suspend();
    std::lock_guard lock(state_->mutex);
    FencingToken token(++state_->last_token);
    if (!state_->partitions[partition].leases.try_emplace(name, token).second)
        co_return fail(Errc::busy, "somebody holds the lease " + name);
    auto release = [state = state_, partition, name, token] {
        std::lock_guard held(state->mutex);
        auto& leases = state->partitions[partition].leases;
        if (auto found = leases.find(name); found != leases.end() && found->second == token) leases.erase(found);
    };
    co_return std::make_unique<HeldLease>(token, std::move(release));
}

std::unique_ptr<Watch> MemoryEngine::watch(PartitionId partition, std::function<void()> hint) {
    std::lock_guard lock(state_->mutex);
    std::uint64_t id = ++state_->last_hint;
    state_->partitions[partition].hints.push_back({id, std::move(hint)});
    return std::make_unique<HeldWatch>([state = state_, partition, id] {
        std::lock_guard held(state->mutex);
        std::erase_if(state->partitions[partition].hints, [id](const Hint& h) { return h.id == id; });
    });
}

void MemoryEngine::fail_next_commits(int count, Errc code, Applied applied) {
    std::lock_guard lock(state_->mutex);
    state_->commit_fault = {0, count, code, applied == Applied::yes};
}

void MemoryEngine::fail_commits_after(int count, Errc code) {
    std::lock_guard lock(state_->mutex);
    state_->commit_fault = {count, std::numeric_limits<int>::max(), code, false};
}

void MemoryEngine::fail_next_reads(int count, Errc code) {
    std::lock_guard lock(state_->mutex);
    state_->read_fault = {0, count, code, false};
}

void MemoryEngine::fail_next_writes(int count, Errc code) {
    std::lock_guard lock(state_->mutex);
    state_->write_fault = {0, count, code, false};
}

void MemoryEngine::damage_body(PartitionId partition, BodyId id, std::uint64_t offset) {
    std::lock_guard lock(state_->mutex);
    auto& bodies = state_->partitions[partition].bodies;
    if (auto found = bodies.find(id); found != bodies.end()) found->second.damaged = offset;
}

void MemoryEngine::break_lease(PartitionId partition, const std::string& name) {
    std::lock_guard lock(state_->mutex);
    state_->partitions[partition].leases.erase(name);
}

void MemoryEngine::commits_wait(int turns) {
    std::lock_guard lock(state_->mutex);
    state_->commit_waits = turns;
}

void MemoryEngine::on_commit(std::function<void(PartitionId, const Batch&)> hook) {
    std::lock_guard lock(state_->mutex);
    state_->hook = std::move(hook);
}

std::uint64_t MemoryEngine::commits() const {
    std::lock_guard lock(state_->mutex);
    return state_->commits;
}

std::uint64_t MemoryEngine::reads() const {
    std::lock_guard lock(state_->mutex);
    return state_->reads;
}

std::uint64_t MemoryEngine::staged_octets() const {
    std::lock_guard lock(state_->mutex);
    return state_->staged_octets;
}

std::uint64_t MemoryEngine::rests() const {
    std::lock_guard lock(state_->mutex);
    return state_->rests;
}

std::size_t MemoryEngine::body_count(PartitionId partition) const {
    std::lock_guard lock(state_->mutex);
    auto found = state_->partitions.find(partition);
    return found == state_->partitions.end() ? 0 : found->second.bodies.size();
}

std::size_t MemoryEngine::snapshot_count(PartitionId partition) const {
    std::lock_guard lock(state_->mutex);
    auto found = state_->partitions.find(partition);
    return found == state_->partitions.end() ? 0 : found->second.snapshots->load();
}

}  // namespace poplar::test
