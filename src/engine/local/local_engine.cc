// Wires the engine's parts together at a start, and hands each call to the part that does it. Its own work is the names
// of large bodies, before a commit and after one that failed.
#include "engine/local/local_engine.h"

#include <fmt/format.h>

#include <cassert>

#include "base/log.h"
#include "base/resume.h"
#include "engine/local/backup.h"
#include "engine/local/body_series.h"
#include "engine/local/committer.h"
#include "engine/local/copier.h"
#include "engine/local/rebuild.h"
#include "engine/local/recovery.h"
#include "engine/local/scrubber.h"
#include "engine/local/store_check.h"

namespace poplar::engine::local {

namespace {
Disk& disk_of(const Options& options) { return options.disk ? *options.disk : Disk::system(); }

/// The staged body that this one ends with, if its octets become its own: in its record, or as a file of its own.
const LocalStagedBody* own_tail(const Batch::NewBody& body) {
    const auto* rest = static_cast<const LocalStagedBody*>(body.tail.get());
    return rest && rest->shared() == BodyId() ? rest : nullptr;
}
}  // namespace

struct LocalEngine::Impl {
    explicit Impl(Options o)
        : options(std::move(o)), leases(std::make_shared<Leases>()), watches(std::make_shared<Watches>()) {}

    // Destroyed from the last to the first: the committer before what it writes to.
    const Options options;
    std::unique_ptr<StoreDirectory> directory;
    std::unique_ptr<Reserve> reserve;
    std::unique_ptr<Index> index;
    SegmentTable table;
    std::shared_ptr<Leases> leases;
    std::shared_ptr<Watches> watches;
    std::atomic<std::uint64_t> next_body = 1;
    std::vector<Damage> damage;
    std::unique_ptr<Reclaims> reclaims;
    std::unique_ptr<DiskPool> pool;
    ReadMemory read_memory{options.read_memory};
    std::unique_ptr<Staging> staging;
    std::unique_ptr<Committer> committer;
    std::unique_ptr<Copier> copier;
    std::unique_ptr<Scrubber> scrubber;

    ~Impl() {
        if (index) index->end_service();  // else a thread that waits for a flush may do so for ever
    }
    Result<> open();
    Result<> begin();  ///< the rest of open(), for a directory that is open
    Result<> begin_store();
    Result<> advise_on_copy(Result<> begun);
    Result<> link_large_bodies(PartitionId partition, const Batch& batch);
    Result<> unlink_large_bodies(PartitionId partition, const Batch& batch);
};

Result<> LocalEngine::Impl::open() {
    auto opened = StoreDirectory::open(disk_of(options), options.directory);
    if (!opened) return pass_on(opened);
    directory = std::move(*opened);
    auto interrupted = directory->rebuild_was_interrupted();
    if (!interrupted) return pass_on(interrupted);
    if (*interrupted)
        return fail(Errc::invalid, "a rebuild did not come to its end, and must before this is used: poplar rebuild");
    return begin();
}

Result<> LocalEngine::Impl::begin() { return advise_on_copy(begin_store()); }

// Files that somebody copied one after the other from a store in use are of different moments.
Result<> LocalEngine::Impl::advise_on_copy(Result<> begun) {
    constexpr std::string_view kAdvice =
        "this is a copy of a data directory. If it was made while a server ran, its files are of different moments: "
        "poplar rebuild makes the best of it; poplar backup makes copies that are whole";
    const bool sound = begun && damage.empty();
    if (directory->is_copy() && !begun && begun.error().code() != Errc::no_space)
        return fail(begun.error().code(), fmt::format("{}; {}", begun.error().detail(), kAdvice));
    if (directory->is_copy() && !sound) log::error("store.copied", {{"advice", kAdvice}});
    if (sound) directory->settle_here();
    return begun;
}

Result<> LocalEngine::Impl::begin_store() {
    if (auto swept = Backup::sweep(*directory); !swept) return swept;
    reserve = std::make_unique<Reserve>(directory->disk(), directory->root() / "RESERVE", options.reserved_space);
    // A start writes here and there: if the disk has too little room for that, the reserve gives it.
    for (constexpr std::uint64_t kRoom = 1u << 20;;) {
        auto space = free_space(directory->disk(), directory->root());
        if (!space || *space >= kRoom || !reserve->give_up()) break;
    }
    auto index_opened = Index::open(directory->disk(), directory->index(), options, reserve.get());
    if (!index_opened) return pass_on(index_opened);
    index = std::move(*index_opened);
    auto recovered = recover(*directory, *index, table);
    if (!recovered && recovered.error().code() == Errc::no_space && reserve->give_up())
        recovered = recover(*directory, *index, table);
    if (!recovered) return pass_on(recovered);
    reserve->take();
    if (auto swept = sweep_large(*directory, *index, *recovered); !swept) return pass_on(swept);
    next_body = recovered->position.next_body;
    damage = std::move(recovered->damage);
    for (const auto& found : index->found_at_start()) damage.push_back(found);
    if (auto intact = directory->check_format(); !intact)
        damage.push_back({"FORMAT", 0, {}, {}, intact.error().detail()});
    if (recovered->records > 0 || recovered->cut_octets > 0)
        log::info("store.replayed", {{"records", recovered->records}, {"cut_octets", recovered->cut_octets}});
    for (const auto& place : damage)
        log::error("store.damage", {{"file", place.file}, {"offset", place.offset}, {"what", place.what}});
    pool = std::make_unique<DiskPool>(options.reader_threads);
    staging.reset(
        new Staging{*directory, *pool, next_body, options.large_body, options.staged_memory, options.min_free_space});
    reclaims = std::make_unique<Reclaims>(*directory);
    committer = std::make_unique<Committer>(options, *directory, *index, table, *leases, *watches, *reserve, *staging,
                                            *reclaims);
    index->serve(directory->health());
    if (auto started = committer->start(recovered->position); !started) return started;
    copier = std::make_unique<Copier>(options, *directory, *index, table, *committer, next_body);
    copier->start();
    scrubber = std::make_unique<Scrubber>(options, *directory, *index, table, *committer);
    scrubber->start();
    return {};
}

// The names must be durable before the record that speaks of them. May block.
Result<> LocalEngine::Impl::link_large_bodies(PartitionId partition, const Batch& batch) {
    for (const auto& body : batch.bodies) {
        const auto* rest = own_tail(body);
        if (!rest || !rest->in_file()) continue;
        auto path = directory->large_body(partition, body.id);
        auto linked = link_file(directory->disk(), rest->path(), path);
        if (!linked && linked.error().code() != Errc::exists) return linked;  // it exists: the batch is repeated
        directory->disk().reached(Step::body_linked);
        auto synced = sync_directory(directory->disk(), path.parent_path(), Sync::body_name);
        if (!synced) return directory->health().stop(synced.error());
        directory->disk().reached(Step::body_named);
    }
    return {};
}

Result<> LocalEngine::Impl::unlink_large_bodies(PartitionId partition, const Batch& batch) {
    for (const auto& body : batch.bodies) {
        const auto* rest = own_tail(body);
        if (rest && rest->in_file()) (void)unlink_file(directory->disk(), directory->large_body(partition, body.id));
    }
    return {};
}

LocalEngine::LocalEngine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LocalEngine::~LocalEngine() = default;

Result<std::unique_ptr<LocalEngine>> LocalEngine::open(Options options) {
    auto impl = std::make_unique<Impl>(std::move(options));
    if (auto opened = impl->open(); !opened) return pass_on(opened);
    return std::unique_ptr<LocalEngine>(new LocalEngine(std::move(impl)));
}

Result<std::vector<Damage>> LocalEngine::rebuild(Options options, const Repair& repair) {
    auto opened = StoreDirectory::open(disk_of(options), options.directory);
    if (!opened) return pass_on(opened);
    auto& directory = **opened;
    auto damage = rebuild_index(directory, options);
    if (!damage) return damage;
    std::unique_ptr<LocalEngine> engine;  // which has the directory then, and its lock
    if (!damage->empty() && repair) {
        auto impl = std::make_unique<Impl>(std::move(options));
        impl->directory = std::move(*opened);
        if (auto begun = impl->begin(); !begun) return pass_on(begun);
        engine.reset(new LocalEngine(std::move(impl)));
        if (auto repaired = repair(*engine); !repaired) return pass_on(repaired);
    }
    if (auto gone = directory.drop_old_index(); !gone) return pass_on(gone);
    directory.settle_here();
    directory.disk().reached(Step::rebuild_ended);
    return damage;
}

Task<Result<std::string>> LocalEngine::get(PartitionId partition, std::string key,
                                           std::shared_ptr<const Snapshot> snapshot) {
    if (auto found = try_get(partition, key, snapshot.get())) co_return std::move(*found);
    auto read = [&] { return *impl_->index->get(partition, key, snapshot.get(), Wait::yes); };
    co_return co_await impl_->pool->read(partition, read);
}

std::optional<Result<std::string>> LocalEngine::try_get(PartitionId partition, std::string_view key,
                                                        const Snapshot* snapshot) {
    return impl_->index->get(partition, key, snapshot, Wait::no);
}

Task<Result<Entries>> LocalEngine::scan(PartitionId partition, KeyRange range, std::size_t limit,
                                        std::shared_ptr<const Snapshot> snapshot) {
    constexpr std::size_t kInline = 256;  // entries that may be read on a session's thread
    if (limit <= kInline)
        if (auto found = impl_->index->scan(partition, range, limit, snapshot.get(), Wait::no))
            co_return std::move(*found);
    auto read = [&] { return *impl_->index->scan(partition, range, limit, snapshot.get(), Wait::yes); };
    co_return co_await impl_->pool->read(partition, read);
}

Task<Result<ChangeNumber>> LocalEngine::change_number(PartitionId partition, std::shared_ptr<const Snapshot> snapshot) {
    if (auto found = impl_->index->change_number(partition, snapshot.get(), Wait::no)) co_return std::move(*found);
    auto read = [&] { return *impl_->index->change_number(partition, snapshot.get(), Wait::yes); };
    co_return co_await impl_->pool->read(partition, read);
}

Task<Result<std::vector<PartitionId>>> LocalEngine::partitions(PartitionId after, std::size_t limit) {
    auto read = [&] { return impl_->index->partitions(after, limit); };
    co_return co_await impl_->pool->read(after, read);
}

std::shared_ptr<const Snapshot> LocalEngine::snapshot(PartitionId) { return impl_->index->snapshot(); }

namespace {

// An upper bound of what encode_meta() will take.
std::uint64_t most_meta_octets(const Batch& batch) {
    constexpr std::uint64_t kVarint = 10;
    std::uint64_t octets = kVarint * (5 + batch.erased_bodies.size() + 4 * batch.bodies.size());
    for (const auto& key : batch.erased) octets += kVarint + key.size();
    for (const auto& entry : batch.puts) octets += 2 * kVarint + entry.key.size() + entry.value.size();
    return octets;
}

}  // namespace

Task<Result<ChangeNumber>> LocalEngine::commit(PartitionId partition, Batch batch,
                                               std::optional<ChangeNumber> expected) {
    assert(batch.names_keys_once());
    constexpr std::uint64_t kMaxInline = 1u << 30;
    std::uint64_t inline_octets = 0;
    bool large = false;
    if (most_meta_octets(batch) > kMaxMeta) co_return fail(Errc::too_large, "a batch with over 256 MB of keys");
    for (const auto& body : batch.bodies) {
        const auto* rest = own_tail(body);
        inline_octets += body.head.size() + (rest ? rest->frame_octets() : 0);
        large |= rest && rest->in_file();
    }
    if (inline_octets > kMaxInline) co_return fail(Errc::too_large, "a batch with over 1 GB of bodies");

    Batch files;  // shares the staged bodies, to undo their links if the commit does not happen
    if (large) {
        // A stopped store refuses here: below it would answer io, after which no link is undone, and each try to
        // deliver would leave a file behind.
        if (const auto& health = impl_->directory->health(); health.stopped()) co_return fail(Errc::io, health.state());
        files.bodies = batch.bodies;
        auto link = [&] { return impl_->link_large_bodies(partition, files); };
        if (auto linked = co_await impl_->pool->read(partition, link); !linked) {
            (void)impl_->unlink_large_bodies(partition, files);
            co_return pass_on(linked);
        }
    }
    auto executor = co_await asio::this_coro::executor;
    auto start = [&](auto handler) {
        auto done = resume_on<Result<ChangeNumber>>(executor, std::move(handler));
        impl_->committer->submit({partition, std::move(batch), expected, std::move(done)});
    };
    auto result =
        co_await asio::async_initiate<decltype(use_awaitable), void(Result<ChangeNumber>)>(start, use_awaitable);
    // After a failed sync the record may be on the disk all the same: its file must stay.
    if (large && !result && result.error().code() != Errc::io) {
        auto unlink = [&] { return impl_->unlink_large_bodies(partition, files); };
        (void)co_await impl_->pool->read(partition, unlink);
    }
    co_return result;
}

BodyId LocalEngine::next_body_id(PartitionId) { return BodyId(impl_->next_body++); }

std::unique_ptr<BodyWriter> LocalEngine::write_body(std::uint64_t size_hint) {
    return std::make_unique<LocalBodyWriter>(*impl_->staging, size_hint);
}

std::unique_ptr<BodySeries> LocalEngine::read_bodies(PartitionId partition) {
    return std::make_unique<LocalBodySeries>(*impl_->directory, *impl_->index, *impl_->pool, impl_->read_memory,
                                             partition);
}

Task<Result<std::unique_ptr<Lease>>> LocalEngine::lease(PartitionId partition, std::string name) {
    co_return impl_->leases->acquire(partition, std::move(name));
}

std::unique_ptr<Watch> LocalEngine::watch(PartitionId partition, std::function<void()> hint) {
    return impl_->watches->add(partition, std::move(hint));
}

Result<VerifyTotals> LocalEngine::verify(std::function<void(const Damage&)> report,
                                         std::function<void(const VerifyTotals&)> progress) {
    auto read = [&](std::uint64_t) { return true; };
    StoreCheck check(
        *impl_->directory, *impl_->index, impl_->table, [this] { return impl_->committer->durable_end(); },
        std::move(report), read, std::move(progress));
    if (auto done = check.everything(); !done) return pass_on(done);
    return check.totals();
}

Result<BackupOutcome> LocalEngine::backup(const std::filesystem::path& folder, std::size_t keep,
                                          std::function<bool(const BackupTotals&)> progress) {
    Backup backup(impl_->options, *impl_->directory, *impl_->index, *impl_->copier, *impl_->reclaims, *impl_->pool,
                  folder);
    return backup.make(keep, progress);
}

Result<bool> LocalEngine::copy_segments() { return impl_->copier->copy_once(Copier::Haste::at_once); }

Result<> LocalEngine::drop_dead(std::vector<PartitionId> partitions, std::function<bool()> go_on) {
    for (auto partition : partitions) {
        if (!go_on()) return fail(Errc::cancelled, "it was given up");
        if (auto merged = impl_->index->merge(partition); !merged) return merged;
    }
    return impl_->copier->copy_all_dead(go_on);
}

void LocalEngine::scrub() { impl_->scrubber->begin_round(); }

Status LocalEngine::status() const {
    Status status;
    auto& directory = *impl_->directory;
    if (auto segments = directory.segments()) {
        status.segments = segments->size();
        for (auto number : *segments) {
            auto file = File::open(directory.disk(), directory.segment(number), File::Mode::read);
            if (!file) continue;
            if (auto size = file->size()) status.log_octets += *size;
        }
    }
    status.index_octets = impl_->index->disk_octets();
    if (auto space = free_space(directory.disk(), directory.root())) status.free_octets = *space;
    status.commits = impl_->committer->commits();
    status.groups = impl_->committer->groups();
    status.staged_octets = impl_->staging->in_memory;
    status.state = directory.health().state();
    constexpr std::string_view kLevels[] = {"ok", "degraded", "stopped"};
    status.health = kLevels[static_cast<std::size_t>(directory.health().level())];
    status.damage = impl_->damage;
    auto counts = impl_->copier->counts();
    status.used_octets = counts.used_octets;
    status.live_octets = counts.live_octets;
    status.large_octets = impl_->table.large_octets();
    status.copies = counts.copies;
    status.copied_octets = counts.copied_octets;
    status.freed_octets = counts.freed_octets;
    status.copying = counts.state;
    status.scrub = impl_->scrubber->status();
    return status;
}

}  // namespace poplar::engine::local
