// Makes the steps of a life, keeps the ledger of what is promised, and looks at the disk before each sync.
#include "tests/engine/disk_world.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <set>

#include "tests/engine/direct.h"

namespace poplar::test {

namespace {

constexpr std::uint64_t kLargeBody = 3000;  // octets over which a body gets a file of its own
constexpr std::size_t kSharers = 5000;      // so many that any body is worth sharing

class World {
public:
    explicit World(const Life& life) : life_(life), platter_(std::make_shared<Platter>()) {
        platter_->make("/data", true);
        platter_->sync(0);
        die_at_ = life.die_at;
        die_before_ = life.die_before;
        start();
    }

    ~World() {
        disk_->kill();
        engine_.reset();
    }
    void act(const Action& action);
    std::vector<Moment> take_moments() {
        look("at the end");
        return std::move(moments_);
    }
    std::string wrong;
    std::map<Step, int> reached;
    std::map<Sync, int> synced;
    /// Whether it died as Life::die_before says; moments before that are forgotten.
    bool cut_short() const { return life_.die_before && !die_before_; }

private:
    void attach();
    void start();
    std::shared_ptr<const StagedBody> stage(std::string text, std::size_t bodies = 1);
    void stop();
    void look(std::string when);
    PartitionId partition(unsigned number) const { return PartitionId(7 + number); }
    /// Hands a commit in; its number in the ledger.
    std::size_t promise(Commit commit) {
        std::lock_guard guard(mutex_);
        commit.puts.insert(commit.puts.begin(), {fmt::format("mark{:05}", promise_.items.size()), "."});
        promise_.items.push_back({std::make_shared<const Commit>(std::move(commit)), Promise::Outcome::pending});
        return promise_.items.size() - 1;
    }
    void settle(std::size_t number, const Result<ChangeNumber>& result);
    Batch batch_of(std::size_t number, std::shared_ptr<const StagedBody> rest = nullptr);
    void commit(Commit commit, std::shared_ptr<const StagedBody> rest = nullptr);
    void erase(PartitionId partition);
    void group(const Action& action);
    Commit small(PartitionId partition, std::uint64_t size);

    const Life& life_;
    std::shared_ptr<Platter> platter_;
    std::unique_ptr<SimulatedDisk> disk_;
    std::unique_ptr<local::LocalEngine> engine_;
    std::uint64_t serial_ = 0;
    std::optional<std::pair<Step, int>> die_at_;
    std::optional<std::pair<Sync, int>> die_before_;
    int kill_in_ = 0;  // the engine's sync before which the process dies, counting down

    std::mutex mutex_;
    Promise promise_;
    std::vector<Moment> moments_;

    std::condition_variable gate_;
    enum class Gate { open, armed, held } gate_state_ = Gate::open;
};

void World::look(std::string when) {
    // The ledger is read twice, so that it has what was acknowledged before the disk is looked at, and what was handed
    // in by then.
    std::unique_lock lock(mutex_);
    auto kept = promise_;
    lock.unlock();
    auto cut = disk_->power_cut();
    lock.lock();
    auto now = promise_;
    for (std::size_t i = 0; i < kept.items.size(); ++i) now.items[i].outcome = kept.items[i].outcome;
    for (std::size_t i = kept.items.size(); i < now.items.size(); ++i) now.items[i].outcome = Promise::Outcome::pending;
    auto text = fmt::format("{} commits handed in, {}", now.items.size(), when);
    moments_.push_back({std::move(cut), std::move(now), std::move(text)});
}

void World::attach() {
    disk_ = std::make_unique<SimulatedDisk>(platter_);
    disk_->omitted = life_.omitted;
    if (life_.watched) disk_->before_any_sync = [this] { look("before a sync"); };
    disk_->on_step = [this](Step step) {
        std::lock_guard guard(mutex_);
        ++reached[step];
        if (!die_at_ || die_at_->first != step || --die_at_->second > 0) return;
        die_at_.reset();
        disk_->kill();
    };
    disk_->before_sync = [this](Sync what) {
        std::unique_lock lock(mutex_);
        ++synced[what];
        if (kill_in_ > 0 && --kill_in_ == 0) disk_->kill();
        if (die_before_ && die_before_->first == what && --die_before_->second == 0) {
            die_before_.reset();
            moments_.clear();
            disk_->kill();
        }
        if (what != Sync::group || gate_state_ != Gate::armed) return;
        gate_state_ = Gate::held;
        gate_.notify_all();
        gate_.wait(lock, [this] { return gate_state_ == Gate::open; });
    };
}

void World::start() {
    attach();
    auto engine = open_as_told(*disk_, life_.segment_size);
    if (disk_->dead()) {  // it died at its start
        if (engine) engine->reset();
        attach();
        engine = open_as_told(*disk_, life_.segment_size);
    }
    if (!engine) {
        wrong = "the engine does not open: " + engine.error().detail();
        return;
    }
    engine_ = std::move(*engine);
    std::lock_guard guard(mutex_);
    if (auto found = promise_.settle(*engine_); !found.empty()) wrong = found;
}

void World::stop() {
    engine_.reset();
    disk_->kill();
}

void World::settle(std::size_t number, const Result<ChangeNumber>& result) {
    std::lock_guard guard(mutex_);
    if (result)
        promise_.items[number].outcome = Promise::Outcome::kept;
    else if (!disk_->dead() && result.error().code() != Errc::conflict)
        wrong = result.error().detail();
    else if (result.error().code() != Errc::io)
        promise_.items[number].outcome = Promise::Outcome::failed;
}

Batch World::batch_of(std::size_t number, std::shared_ptr<const StagedBody> rest) {
    std::lock_guard guard(mutex_);
    const auto& commit = *promise_.items[number].commit;
    Batch batch;
    batch.erased = commit.erased;
    batch.puts = commit.puts;
    for (const auto& [id, text] : commit.bodies)
        batch.add_body(id, text.substr(0, text.size() - (rest ? rest->size() : 0)), rest);
    batch.erased_bodies = commit.erased_bodies;
    return batch;
}

void World::commit(Commit commit, std::shared_ptr<const StagedBody> rest) {
    auto to = commit.partition;
    auto number = promise(std::move(commit));
    settle(number, Direct(*engine_).commit(to, batch_of(number, std::move(rest))));
}

Commit World::small(PartitionId partition, std::uint64_t size) {
    Commit commit{partition, {}, {}, {}, {}};
    commit.puts.push_back({"latest", std::to_string(++serial_)});
    if (serial_ > 1) commit.erased.push_back(fmt::format("old{}", serial_ - 1));
    commit.puts.push_back({fmt::format("old{}", serial_), "x"});
    if (size > 0) commit.bodies.emplace_back(engine_->next_body_id(partition), pattern(size, serial_));
    return commit;
}

std::shared_ptr<const StagedBody> World::stage(std::string text, std::size_t bodies) {
    auto writer = engine_->write_body(0);
    if (auto done = run(writer->write(text)); !done) return nullptr;
    auto staged = run(writer->finish(bodies));
    return staged ? *staged : nullptr;
}

void World::erase(PartitionId partition) {
    std::map<BodyId, int> bodies;
    for (const auto& [commit, outcome] : promise_.items) {
        if (commit->partition != partition || outcome == Promise::Outcome::failed) continue;
        for (const auto& [id, text] : commit->bodies) bodies[id] = 1;
        for (auto id : commit->erased_bodies) bodies.erase(id);
    }
    if (bodies.empty()) return;
    auto change = small(partition, 0);
    change.erased_bodies.push_back(bodies.begin()->first);
    commit(std::move(change));
}

// The first commit is held before its sync until the others wait: they become one group.
void World::group(const Action& action) {
    asio::io_context context;
    auto hand_in = [&](PartitionId to, std::uint64_t size) {
        auto number = promise(small(to, size));
        asio::co_spawn(context, engine_->commit(to, batch_of(number), std::nullopt),
                       [this, number](std::exception_ptr, Result<ChangeNumber> result) { settle(number, result); });
    };
    gate_state_ = Gate::armed;
    hand_in(partition(action.partition), 0);
    context.poll();
    {
        std::unique_lock lock(mutex_);
        gate_.wait(lock, [this] { return gate_state_ == Gate::held; });
    }
    for (std::uint64_t i = 0; i < action.size; ++i) hand_in(partition((action.partition + i % 2) % 3), i * 150);
    context.poll();
    {
        std::lock_guard guard(mutex_);
        gate_state_ = Gate::open;
    }
    gate_.notify_all();
    context.run();
}

void World::act(const Action& action) {
    if (!wrong.empty()) return;
    Direct d(*engine_);
    auto to = partition(action.partition);
    switch (action.kind) {
        case Action::Kind::put: commit(small(to, 0)); break;
        case Action::Kind::body: commit(small(to, action.size)); break;
        case Action::Kind::large:
        case Action::Kind::shared:
        case Action::Kind::shared_small: {
            const bool shared = action.kind != Action::Kind::large;
            const auto size = action.kind == Action::Kind::shared_small ? action.size : kLargeBody + action.size;
            auto change = small(to, 10 + size);
            auto rest = stage(change.bodies[0].second.substr(10), shared ? kSharers : 1);
            if (!rest) break;
            if (shared) {
                auto other = small(partition(action.partition + 1), 0);
                other.bodies.emplace_back(engine_->next_body_id(other.partition),
                                          "other head" + change.bodies[0].second.substr(10));
                commit(std::move(other), rest);
            }
            commit(std::move(change), std::move(rest));
            break;
        }
        case Action::Kind::erase: erase(to); break;
        case Action::Kind::group: group(action); break;
        case Action::Kind::dropped: stage(pattern(kLargeBody * 2, action.size)); break;
        case Action::Kind::conflict: {
            auto rest = stage(pattern(kLargeBody + action.size, 1));
            if (!rest) break;
            Batch batch;
            batch.add_body(engine_->next_body_id(to), "", std::move(rest));
            if (auto done = d.commit(to, std::move(batch), ChangeNumber(1'000'000)); done)
                wrong = "a conflict was not seen";
            break;
        }
        case Action::Kind::restart:
            engine_.reset();
            stop();
            start();
            break;
        case Action::Kind::killed:
            disk_->kill();
            stop();
            start();
            break;
        case Action::Kind::killed_named: {
            std::lock_guard guard(mutex_);
            die_at_ = {Step::body_named, 1};
        }
            act({Action::Kind::large, action.partition, action.size});
            break;
        case Action::Kind::killed_at: {
            {
                std::lock_guard guard(mutex_);
                kill_in_ = static_cast<int>(action.size);
            }
            for (int i = 0; i < 3 && !disk_->dead(); ++i) commit(small(to, 500));
            disk_->kill();
            stop();
            start();
            break;
        }
        case Action::Kind::copy:
            for (;;) {
                auto copied = engine_->copy_segments();
                if (!copied && !disk_->dead()) wrong = copied.error().detail();
                if (!copied || !*copied) break;
            }
            break;
        case Action::Kind::rebuild: {
            stop();
            attach();
            auto found = local::LocalEngine::rebuild(small_options(*disk_, life_.segment_size));
            if (disk_->dead()) {
                start();
                break;
            }
            if (!found || !found->empty()) wrong = "rebuild found damage";
            disk_->kill();
            start();
            break;
        }
    }
    if (disk_->dead() && engine_) {  // it died at the step it was to die at
        stop();
        start();
    }
}

}  // namespace

std::string Action::name() const {
    constexpr std::string_view kNames[] = {"put",    "body",         "large",     "shared",   "shared_small",
                                           "erase",  "group",        "dropped",   "conflict", "restart",
                                           "killed", "killed_named", "killed_at", "rebuild",  "copy"};
    return fmt::format("{} {} {}", kNames[static_cast<std::size_t>(kind)], partition, size);
}

local::Options small_options(SimulatedDisk& disk, std::uint64_t segment_size) {
    local::Options options;
    options.directory = "/data/store";
    options.disk = &disk;
    options.segment_size = segment_size;
    options.large_body = kLargeBody;
    options.min_free_space = 0;
    options.reserved_space = 0;
    options.retry = std::chrono::milliseconds(1);
    options.block_cache = 1 << 20;
    options.write_buffer = 1 << 20;
    options.reader_threads = 1;
    options.copy_rate = 0;  // only when a life says so
    options.scrub_every = std::chrono::seconds(0);
    return options;
}

Result<std::unique_ptr<local::LocalEngine>> open_as_told(SimulatedDisk& disk, std::uint64_t segment_size) {
    auto options = small_options(disk, segment_size);
    auto engine = local::LocalEngine::open(options);
    if (engine || engine.error().code() != Errc::invalid || disk.dead()) return engine;
    if (auto rebuilt = local::LocalEngine::rebuild(options); !rebuilt) return pass_on(rebuilt);
    return local::LocalEngine::open(options);
}

std::vector<Moment> live(const Life& life, std::string& wrong, std::map<Step, int>* reached,
                         std::map<Sync, int>* synced) {
    World world(life);
    for (const auto& action : life.actions) {
        if (world.cut_short()) break;
        world.act(action);
    }
    if (world.cut_short()) world.act({Action::Kind::put, 0, 0});
    wrong = world.wrong;
    auto moments = world.take_moments();
    if (reached) *reached = world.reached;
    if (synced) *synced = world.synced;
    return moments;
}

std::string check_state(std::shared_ptr<Platter> platter, const Promise& promise, bool thorough) {
    auto open = [&](SimulatedDisk& disk, std::string& wrong) {
        auto engine = open_as_told(disk, 6000);
        if (!engine) wrong = "the engine does not open: " + engine.error().detail();
        return engine ? std::move(*engine) : nullptr;
    };
    std::string wrong;
    Promise now = promise;
    {
        SimulatedDisk disk(platter);
        auto engine = open(disk, wrong);
        if (!engine) return wrong;
        if (wrong = now.check(*engine); !wrong.empty()) return wrong;
        if (!thorough) {
            disk.kill();
            return {};
        }
        if (wrong = now.settle(*engine); !wrong.empty()) return wrong;
        Direct d(*engine);
        for (std::uint64_t size : {100u, 5000u}) {  // and it goes on
            auto text = pattern(size, 99);
            Commit more{PartitionId(7), {}, {{fmt::format("mark{:05}", now.items.size()), "."}}, {}, {}};
            more.bodies.emplace_back(engine->next_body_id(more.partition), text);
            Batch batch;
            batch.puts = more.puts;
            batch.add_body(more.bodies[0].first, "", d.stage(text));
            if (auto done = d.commit(more.partition, std::move(batch)); !done)
                return "it does not go on: " + done.error().detail();
            now.items.push_back({std::make_shared<const Commit>(std::move(more)), Promise::Outcome::kept});
        }
        disk.kill();
    }
    {
        SimulatedDisk disk(platter);
        auto engine = open(disk, wrong);
        if (!engine) return "after a second crash " + wrong;
        if (wrong = now.check(*engine); !wrong.empty()) return "after a second crash: " + wrong;
    }
    SimulatedDisk disk(platter);
    if (auto rebuilt = local::LocalEngine::rebuild(small_options(disk, 6000)); !rebuilt || !rebuilt->empty())
        return "rebuild found damage";
    auto engine = open(disk, wrong);
    if (!engine) return "after a rebuild " + wrong;
    if (wrong = now.check(*engine); !wrong.empty()) return "after a rebuild: " + wrong;
    return {};
}

Findings check_power_cuts(const std::vector<Moment>& moments, const Effort& effort) {
    Findings findings;
    std::set<std::size_t> seen;
    std::mt19937_64 generator(effort.seed);
    std::hash<std::string> hash;
    for (const auto& moment : moments) {
        ++findings.moments;
        std::string outcomes;
        for (const auto& item : moment.promise.items) outcomes += static_cast<char>(item.outcome);
        auto check = [&](const PowerCut::Choice& choice) {
            auto platter = moment.cut.state(choice);
            if (!seen.insert(hash(fingerprint(*platter) + outcomes)).second) {
                ++findings.equivalent;
                return true;
            }
            bool thorough = findings.states++ % 8 == 0;
            auto wrong = check_state(platter, moment.promise, thorough);
            if (wrong.empty()) return true;
            findings.wrong =
                fmt::format("{}\npower failed with {}; then:\n{}", wrong, moment.when, moment.cut.describe(choice));
            return false;
        };
        auto all = moment.cut.everything();
        if (!check(moment.cut.nothing()) || !check(all)) return findings;
        if (moment.cut.count(false, effort.exhaustive + 1) <= effort.exhaustive) {
            // All states of our files, with none and all of RocksDB's latest writes.
            ++findings.exhausted;
            for (bool with_index : {false, true}) {
                auto choice = moment.cut.nothing();
                for (std::size_t i = 0; i < choice.size(); ++i)
                    if (with_index && moment.cut.units()[i].index) choice[i] = all[i];
                do
                    if (!check(choice)) return findings;
                while (moment.cut.advance(choice, false));
            }
        }
        for (std::uint64_t i = 0; i < effort.random; ++i)
            if (!check(moment.cut.random(generator))) return findings;
    }
    return findings;
}

Orphan::Orphan() {
    std::string wrong;
    Life life{.actions = {{Action::Kind::put, 0, 0}, {Action::Kind::large, 0, 100}, {Action::Kind::put, 0, 0}}};
    auto moments = live(life, wrong);
    platter = moments.back().cut.state(moments.back().cut.everything());
    int segment = platter->find("/data/store/log/0/0000000001.seg"), file = platter->find("/data/store/large/01/7-1");
    EXPECT_NE(file, Platter::kNothing) << wrong;
    content = platter->live(file).bytes;
    auto at = platter->live(segment).bytes.find("mark00001");
    EXPECT_NE(at, std::string::npos);
    platter->write(segment, at, "X");
    platter->sync(segment);
    platter->set_names(platter->find("/data/store"), {{"index", Platter::kNothing}});
    platter->sync(platter->find("/data/store"));
}

bool Orphan::kept(const Platter& disk) const {
    for (auto name : {"/data/store/large/01/7-1", "/data/store/large/orphans/7-1"}) {
        int found = disk.find(name);
        if (found != Platter::kNothing && disk.live(found).bytes == content) return true;
    }
    return false;
}

Life random_life(std::uint64_t seed, std::size_t actions) {
    std::mt19937_64 generator(seed);
    using Kind = Action::Kind;
    constexpr Kind kKinds[] = {Kind::put,          Kind::body,         Kind::body,      Kind::body,      Kind::large,
                               Kind::large,        Kind::shared,       Kind::erase,     Kind::erase,     Kind::group,
                               Kind::shared_small, Kind::shared_small, Kind::group,     Kind::dropped,   Kind::conflict,
                               Kind::restart,      Kind::killed_named, Kind::killed_at, Kind::killed_at, Kind::rebuild,
                               Kind::copy,         Kind::copy};
    Life life;
    for (std::size_t i = 0; i < actions; ++i) {
        Action action{kKinds[generator() % std::size(kKinds)], static_cast<unsigned>(generator() % 2), 0};
        action.size =
            action.kind == Kind::group || action.kind == Kind::killed_at ? 1 + generator() % 4 : 1 + generator() % 2500;
        life.actions.push_back(action);
    }
    return life;
}

}  // namespace poplar::test
