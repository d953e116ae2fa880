#include "engine/local/local_engine.h"

#include <fmt/format.h>

#include "base/blocking_pool.h"
#include "base/log.h"
#include "base/resume.h"
#include "engine/local/body_reader.h"
#include "engine/local/committer.h"
#include "engine/local/recovery.h"
#include "engine/local/segment_walk.h"

namespace poplar::engine::local {

namespace {
Disk& disk_of(const Options& options) { return options.disk ? *options.disk : Disk::system(); }
}  // namespace

struct LocalEngine::Impl {
    explicit Impl(Options o)
        : options(std::move(o)), leases(std::make_shared<Leases>()), watches(std::make_shared<Watches>()) {}

    // Destroyed from the last to the first: the committer before what it writes to.
    const Options options;
    std::unique_ptr<StoreDirectory> directory;
    std::unique_ptr<Reserve> reserve;
    std::unique_ptr<Index> index;
    std::shared_ptr<Leases> leases;
    std::shared_ptr<Watches> watches;
    std::atomic<std::uint64_t> next_body = 1;
    std::vector<Damage> damage;
    std::unique_ptr<BlockingPool> pool;
    ReadMemory read_memory{options.read_memory};
    std::unique_ptr<Staging> staging;
    std::unique_ptr<Committer> committer;

    Result<> open();
    Result<> link_large_bodies(PartitionId partition, const Batch& batch);
    void unlink_large_bodies(PartitionId partition, const Batch& batch);
};

Result<> LocalEngine::Impl::open() {
    auto opened = StoreDirectory::open(disk_of(options), options.directory);
    if (!opened) return pass_on(opened);
    directory = std::move(*opened);
    reserve = std::make_unique<Reserve>(directory->disk(), directory->root() / "RESERVE", options.reserved_space);
    auto index_opened = Index::open(directory->disk(), directory->index(), options);
    if (!index_opened && index_opened.error().code() == Errc::no_space && reserve->give_up())
        index_opened = Index::open(directory->disk(), directory->index(), options);
    if (!index_opened) return pass_on(index_opened);
    index = std::move(*index_opened);
    auto recovered = recover(*directory, *index);
    if (!recovered && recovered.error().code() == Errc::no_space && reserve->give_up())
        recovered = recover(*directory, *index);
    if (!recovered) return pass_on(recovered);
    reserve->take();
    next_body = recovered->position.next_body;
    damage = std::move(recovered->damage);
    if (recovered->records > 0 || recovered->cut_octets > 0)
        log::info("store.replayed", {{"records", recovered->records}, {"cut_octets", recovered->cut_octets}});
    for (const auto& place : damage)
        log::error("store.damage", {{"file", place.file}, {"offset", place.offset}, {"what", place.what}});
    pool = std::make_unique<BlockingPool>(options.reader_threads);
    staging.reset(
        new Staging{*directory, *pool, next_body, options.large_body, options.staged_memory, options.min_free_space});
    committer = std::make_unique<Committer>(options, *directory, *index, *leases, *watches, *reserve, *pool, next_body);
    return committer->start(recovered->position);
}

// The names must be durable before the record that speaks of them. May block.
Result<> LocalEngine::Impl::link_large_bodies(PartitionId partition, const Batch& batch) {
    for (const auto& body : batch.bodies) {
        const auto* rest = static_cast<const LocalStagedBody*>(body.rest.get());
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

void LocalEngine::Impl::unlink_large_bodies(PartitionId partition, const Batch& batch) {
    for (const auto& body : batch.bodies) {
        const auto* rest = static_cast<const LocalStagedBody*>(body.rest.get());
        if (rest && rest->in_file()) (void)unlink_file(directory->disk(), directory->large_body(partition, body.id));
    }
}

LocalEngine::LocalEngine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LocalEngine::~LocalEngine() = default;

Result<std::unique_ptr<LocalEngine>> LocalEngine::open(Options options) {
    auto impl = std::make_unique<Impl>(std::move(options));
    if (auto opened = impl->open(); !opened) return pass_on(opened);
    return std::unique_ptr<LocalEngine>(new LocalEngine(std::move(impl)));
}

Result<std::vector<Damage>> LocalEngine::rebuild(Options options) {
    auto directory = StoreDirectory::open(disk_of(options), options.directory);
    if (!directory) return pass_on(directory);
    if (auto gone = (*directory)->drop_index(); !gone) return pass_on(gone);
    auto index = Index::open((*directory)->disk(), (*directory)->index(), options);
    if (!index) return pass_on(index);
    auto recovered = recover(**directory, **index);
    if (!recovered) return pass_on(recovered);
    if (auto flushed = (*index)->flush(Index::FlushMode::wait); !flushed) return pass_on(flushed);
    (*directory)->disk().reached(Step::index_rebuilt);
    return std::move(recovered->damage);
}

Task<Result<std::string>> LocalEngine::get(PartitionId partition, std::string key,
                                           std::shared_ptr<const Snapshot> snapshot) {
    if (auto found = impl_->index->get(partition, key, snapshot.get(), Wait::no)) co_return std::move(*found);
    auto read = [&] { return *impl_->index->get(partition, key, snapshot.get(), Wait::yes); };
    co_return co_await impl_->pool->run(read);
}

Task<Result<std::vector<Entry>>> LocalEngine::scan(PartitionId partition, KeyRange range, std::size_t limit,
                                                   std::shared_ptr<const Snapshot> snapshot) {
    constexpr std::size_t kInline = 256;  // entries that may be read on a session's thread
    if (limit <= kInline)
        if (auto found = impl_->index->scan(partition, range, limit, snapshot.get(), Wait::no))
            co_return std::move(*found);
    auto read = [&] { return *impl_->index->scan(partition, range, limit, snapshot.get(), Wait::yes); };
    co_return co_await impl_->pool->run(read);
}

Task<Result<ChangeNumber>> LocalEngine::change_number(PartitionId partition, std::shared_ptr<const Snapshot> snapshot) {
    if (auto found = impl_->index->change_number(partition, snapshot.get(), Wait::no)) co_return std::move(*found);
    auto read = [&] { return *impl_->index->change_number(partition, snapshot.get(), Wait::yes); };
    co_return co_await impl_->pool->run(read);
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
    constexpr std::uint64_t kMaxInline = 1u << 30;
    std::uint64_t inline_octets = 0;
    bool large = false;
    if (most_meta_octets(batch) > kMaxMeta) co_return fail(Errc::too_large, "a batch with over 256 MB of keys");
    for (const auto& body : batch.bodies) {
        const auto* rest = static_cast<const LocalStagedBody*>(body.rest.get());
        inline_octets += body.head.size() + (rest ? rest->frame_octets() : 0);
        large |= rest && rest->in_file();
    }
    if (inline_octets > kMaxInline) co_return fail(Errc::too_large, "a batch with over 1 GB of bodies");

    Batch files;  // shares the staged bodies, to undo their links if the commit does not happen
    if (large) {
        files.bodies = batch.bodies;
        auto link = [&] { return impl_->link_large_bodies(partition, files); };
        if (auto linked = co_await impl_->pool->run(link); !linked) {
            impl_->unlink_large_bodies(partition, files);
            co_return pass_on(linked);
        }
    }
    auto executor = co_await asio::this_coro::executor;
    auto start = [&](auto handler) {
        auto done = resume_on<Result<ChangeNumber>>(executor, std::move(handler));
        impl_->committer->submit({partition, std::move(batch), expected, std::move(done)});
    };
    auto result = co_await asio::async_initiate<decltype(asio::use_awaitable), void(Result<ChangeNumber>)>(
        start, asio::use_awaitable);
    // After a failed sync the record may be on the disk all the same: its file must stay.
    if (large && !result && result.error().code() != Errc::io) {
        auto unlink = [&] { return impl_->unlink_large_bodies(partition, files), true; };
        co_await impl_->pool->run(unlink);
    }
    co_return result;
}

BodyId LocalEngine::next_body_id(PartitionId) { return BodyId(impl_->next_body++); }

std::unique_ptr<BodyWriter> LocalEngine::write_body(std::uint64_t size_hint) {
    return std::make_unique<LocalBodyWriter>(*impl_->staging, size_hint);
}

Task<Result<std::unique_ptr<BodyReader>>> LocalEngine::read_body(PartitionId partition, BodyId id) {
    auto place = impl_->index->place(partition, id, Wait::no);
    if (!place) {
        auto read = [&] { return *impl_->index->place(partition, id, Wait::yes); };
        place = co_await impl_->pool->run(read);
    }
    if (!*place) co_return pass_on(*place);
    co_return std::make_unique<LocalBodyReader>(*impl_->directory, *impl_->pool, impl_->read_memory, partition, id, **place);
}

Task<Result<std::unique_ptr<Lease>>> LocalEngine::lease(PartitionId partition, std::string name) {
    co_return impl_->leases->acquire(partition, std::move(name));
}

std::unique_ptr<Watch> LocalEngine::watch(PartitionId partition, std::function<void()> hint) {
    return impl_->watches->add(partition, std::move(hint));
}

Result<VerifyTotals> LocalEngine::verify(std::function<void(const Damage&)> report,
                                         std::function<void(const VerifyTotals&)> progress) {
    auto& directory = *impl_->directory;
    VerifyTotals totals;
    auto damaged = [&](Damage damage) {
        ++totals.damaged;
        report(damage);
    };
    Position end = impl_->committer->durable_end();

    auto segments = directory.segments();
    if (!segments) return pass_on(segments);
    std::uint64_t expected = 1, sequence = 1;
    for (auto number : *segments) {
        if (number > end.segment) break;
        auto name = directory.relative(directory.segment(number));
        for (; expected < number; ++expected)
            damaged({directory.relative(directory.segment(expected)), 0, {}, {}, "the segment is missing"});
        ++expected;
        auto file = File::open(directory.disk(), directory.segment(number), File::Mode::read);
        if (!file) return pass_on(file);
        if (auto header = directory.read_header(*file); !header) damaged({name, 0, {}, {}, header.error().detail()});
        auto size = file->size();
        if (!size) return pass_on(size);
        std::uint64_t until = number == end.segment ? end.offset : *size;
        if (*size < until) damaged({name, *size, {}, {}, "the segment is too short"});
        FileSource source(*file);
        SegmentWalk walk(source, directory.mark(), kSegmentHeader, std::min(until, *size), sequence,
                         SegmentWalk::Bodies::skip);
        for (bool more = true; more;) {
            auto step = walk.next();
            if (!step) return pass_on(step);
            if (step->kind == SegmentWalk::Step::Kind::record) {
                sequence = step->header.sequence + 1;
                if (++totals.records % 4096 == 0 && progress) progress(totals);
            } else if (step->next > step->offset) {
                damaged({name,
                         step->offset,
                         {},
                         {},
                         fmt::format("{} octets can't be read as records", step->next - step->offset)});
            }
            more = step->kind != SegmentWalk::Step::Kind::end;
        }
        ++totals.segments;
        if (progress) progress(totals);
    }

    auto check = [&](PartitionId partition, BodyId id, const BodyPlace& place) {
        auto damage = check_body(directory, partition, id, place);
        ++totals.bodies;
        totals.octets += place.size;
        if (progress && totals.bodies % 1024 == 0) progress(totals);
        // It may have been erased, and its space given back, since this walk began.
        if (damage && *impl_->index->place(partition, id, Wait::yes)) damaged(std::move(*damage));
        return true;
    };
    if (auto done = impl_->index->for_each_body(check); !done) damaged({"index", 0, {}, {}, done.error().detail()});
    if (auto done = impl_->index->check_files(); !done) damaged({"index", 0, {}, {}, done.error().detail()});
    return totals;
}

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
    return status;
}

}  // namespace poplar::engine::local
