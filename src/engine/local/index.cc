// How the index lies in RocksDB: its keys, its options, and reads that may be told not to wait.
#include "engine/local/index.h"

#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/file_checksum.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/perf_level.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>

#include <algorithm>
#include <thread>

#include "base/encoding.h"
#include "base/memory.h"

namespace poplar::engine::local {

namespace {

using Kind = Index::Kind;
constexpr std::size_t kPrefix = 9;        // partition and kind
constexpr int kUnflushed = 2;             // memtables that may wait for their flush
constexpr std::size_t kReserve = 256;     // entries to make room for at once
constexpr std::size_t kEntryOctets = 64;  // and octets for each: a message's entry has about 45
constexpr int kCacheShardBits = 3;        // 8 shards: more than threads that look at once, and each still has room

constexpr double kMemtableFilter = 0.02;  // of a memtable, 10 bits a key: most keys that are not there cost no search

// The octets that `storage.block_cache` stands for. A million accounts need about 500 MB at their logins, which the
// machine that serves a million has to spare; a small one keeps what it always had.
std::uint64_t cache_memory(const Options& options) {
    if (options.block_cache != 0) return options.block_cache;
    return std::clamp<std::uint64_t>(memory_at_hand() / 32, 64u << 20, 1u << 30);
}

std::string make_key(PartitionId partition, Kind kind, std::string_view rest = {}) {
    Encoder out(kPrefix + rest.size());
    out.u64_key(partition.value).u8(static_cast<std::uint8_t>(kind)).raw(rest);
    return std::move(out).bytes();
}

/// Keys of one kind, one after another, without memory for each.
class Keys {
public:
    Keys(PartitionId partition, Kind kind) : key_(make_key(partition, kind)) {}
    rocksdb::Slice operator()(std::string_view rest) { return key_.replace(kPrefix, std::string::npos, rest); }

private:
    std::string key_;
};

std::string body_key(PartitionId partition, BodyId id) {
    return make_key(partition, Kind::body, Encoder().u64_key(id.value).bytes());
}

std::string reference_key(BodyId shared, PartitionId partition, BodyId id) {
    Encoder rest(24);
    rest.u64_key(shared.value).u64_key(partition.value).u64_key(id.value);
    return make_key(kSharedBodies, Kind::reference, rest.bytes());
}

std::string held_key(BodyId shared) {
    return make_key(kSharedBodies, Kind::held, Encoder().u64_key(shared.value).bytes());
}

std::string position_key() { return make_key(PartitionId(0), Kind::change); }

/// Tells of the partitions that a batch erases bodies of.
class ErasedBodies final : public rocksdb::WriteBatch::Handler {
public:
    explicit ErasedBodies(PlaceCache& places) : places_(places) {}
    void Delete(const rocksdb::Slice& key) override {
        Decoder in(key.ToStringView());
        const PartitionId partition(in.u64_key());
        if (static_cast<Kind>(in.u8()) == Kind::body) places_.forget(partition);
    }

private:
    PlaceCache& places_;
};

class IndexSnapshot final : public Snapshot {
public:
    explicit IndexSnapshot(std::shared_ptr<rocksdb::DB> db) : db_(std::move(db)), snapshot_(db_->GetSnapshot()) {}
    ~IndexSnapshot() override { db_->ReleaseSnapshot(snapshot_); }
    const rocksdb::Snapshot* get() const { return snapshot_; }

private:
    std::shared_ptr<rocksdb::DB> db_;
    const rocksdb::Snapshot* snapshot_;
};

// RocksDB counts every comparison of keys for each thread, which is a third of what an insertion costs. Nobody asks.
void count_nothing() {
    thread_local const bool done = (rocksdb::SetPerfLevel(rocksdb::PerfLevel::kDisable), true);
    (void)done;
}

rocksdb::ReadOptions read_options(const Snapshot* snapshot, Wait wait) {
    count_nothing();
    rocksdb::ReadOptions options;
    if (snapshot) options.snapshot = static_cast<const IndexSnapshot*>(snapshot)->get();
    if (wait == Wait::no) options.read_tier = rocksdb::kBlockCacheTier;
    return options;
}

// nullopt: it would have to wait; not_found is one of the results.
std::optional<Result<rocksdb::PinnableSlice>> get_raw(rocksdb::DB& db, const std::string& key, const Snapshot* snapshot,
                                                      Wait wait) {
    rocksdb::PinnableSlice value;
    auto status = db.Get(read_options(snapshot, wait), db.DefaultColumnFamily(), key, &value);
    if (status.IsIncomplete()) return std::nullopt;
    if (status.IsNotFound()) return fail(Errc::not_found, "no such key");
    if (!status.ok()) return std::unexpected(index_error(status));
    // RocksDB 7.8 gives an empty value for a file that is not open, too, when it may not wait for it.
    if (wait == Wait::no && value.empty()) return std::nullopt;
    return value;
}

}  // namespace

Result<std::unique_ptr<Index>> Index::open(Disk& disk, const std::filesystem::path& directory, const Options& options,
                                           Reserve* reserve) {
    rocksdb::BlockBasedTableOptions table;
    const auto memory = cache_memory(options), places_memory = memory / 8, values_memory = memory / 8;
    table.block_cache = rocksdb::NewLRUCache(memory - places_memory - values_memory, kCacheShardBits);
    table.block_size = 16 << 10;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    table.cache_index_and_filter_blocks = true;  // else their memory grows with the number of messages
    // In one piece a file's filter has megabytes: a lookup among a million accounts would read them each time.
    table.partition_filters = true;
    table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
    table.pin_top_level_index_and_filter = true;
    table.checksum = rocksdb::kXXH3;
    table.format_version = 5;

    rocksdb::Options rocks;
    rocks.create_if_missing = true;
    auto patience = std::make_shared<Patience>(reserve, options.retry);
    auto env = make_index_env(disk, patience);
    rocks.env = env.get();
    rocks.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    rocks.prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(kPrefix));
    // One hint for all keys: an insertion begins where the last one was, and most come in order (Committer::index).
    rocks.memtable_insert_with_hint_prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(0));
    rocks.memtable_prefix_bloom_size_ratio = kMemtableFilter;
    rocks.memtable_whole_key_filtering = true;
    // A value in a file costs a filter, two indexes and a block, each looked up in a cache. Those of accounts and
    // mailboxes are wanted at each login and each delivery: here they are at hand.
    rocks.row_cache = rocksdb::NewLRUCache(values_memory, kCacheShardBits);
    rocks.compression = rocksdb::kLZ4Compression;
    rocks.write_buffer_size = options.write_buffer;
    rocks.target_file_size_base = 2 * options.write_buffer;
    // How many memtables wait is ready()'s affair: RocksDB's own limits would hold a writer up for as long as a flush,
    // or a merge, waits for room.
    rocks.max_write_buffer_number = 3 * kUnflushed;
    rocks.level0_stop_writes_trigger = 1 << 20;
    rocks.hard_pending_compaction_bytes_limit = 0;
    rocks.max_background_jobs = 2;
    rocks.max_open_files = 512;
    rocks.level_compaction_dynamic_level_bytes = true;
    rocks.avoid_flush_during_shutdown = true;  // its owner flushes it before, if that still works
    rocks.max_bgerror_resume_count = 0;
    rocks.file_checksum_gen_factory = rocksdb::GetFileChecksumGenCrc32cFactory();
    rocks.max_manifest_file_size = 16 << 20;
    rocks.info_log = make_index_log();
    rocks.listeners.push_back(make_failure_listener(patience));

    env->CreateDirIfMissing(directory.string());  // RocksDB makes it as well, but first complains that it is not there
    rocksdb::DB* db = nullptr;
    auto status = rocksdb::DB::Open(rocks, directory.string(), &db);
    if (status.IsCorruption()) {
        TornManifest manifest(*env, directory);
        if (manifest.cut()) {
            status = rocksdb::DB::Open(rocks, directory.string(), &db);
            if (!status.ok()) manifest.put_back();
        }
    }
    if (!status.ok() && patience->was_full()) return fail(Errc::no_space, "index: " + status.ToString());
    if (!status.ok()) {
        // RocksDB takes a wrong name in CURRENT for a file that can't be opened.
        constexpr std::string_view kAdvice = "; poplar rebuild makes it anew";
        if (auto damage = damage_in_current(*env, directory))
            return fail(Errc::corrupt,
                        fmt::format("{}/CURRENT: {}{}", directory.filename().string(), *damage, kAdvice));
        auto error = index_error(status);
        if (error.code() != Errc::corrupt) return std::unexpected(error);
        return fail(Errc::corrupt, fmt::format("{}{}", error.detail(), kAdvice));
    }
    auto close = [env](rocksdb::DB* open) { delete open; };  // the database uses `env` to the last
    std::unique_ptr<Index> index(new Index(std::shared_ptr<rocksdb::DB>(db, std::move(close)), std::move(patience),
                                           options.index_wal, places_memory));
    if (auto done = index->remember_files(directory); !done) return pass_on(done);
    return index;
}

Index::~Index() { end_service(); }

Result<> Index::ready() const {
    for (;;) {
        if (patience_->failed()) return fail(Errc::io, "the index has failed");
        std::uint64_t unflushed = 0;
        db_->GetIntProperty(rocksdb::DB::Properties::kNumImmutableMemTable, &unflushed);
        if (unflushed < kUnflushed) return {};
        if (patience_->waiting()) return fail(Errc::no_space, "the index waits for room on the disk");
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

namespace {

Result<Position> position_of(rocksdb::DB& db) {
    auto found = get_raw(db, position_key(), nullptr, Wait::yes);
    if (!*found) {
        if (found->error().code() == Errc::not_found) return Position{};
        return pass_on(*found);
    }
    Decoder in((*found)->ToStringView());
    Position position;
    position.segment = in.varint();
    position.offset = in.varint();
    position.next_sequence = in.varint();
    position.next_body = in.varint();
    if (!in.ok()) return fail(Errc::corrupt, "index: the log position is damaged");
    return position;
}

}  // namespace

Result<Position> Index::position() const { return position_of(*db_); }

Result<Position> Index::copy_to(const std::filesystem::path& to) const {
    rocksdb::Checkpoint* made = nullptr;
    auto status = rocksdb::Checkpoint::Create(db_.get(), &made);
    std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
    if (status.ok()) status = checkpoint->CreateCheckpoint(to.string(), 0);
    if (!status.ok()) return std::unexpected(index_error(status));
    // The copy is asked for its own state, because others write meanwhile.
    rocksdb::Options options;
    options.env = db_->GetEnv();
    options.info_log = make_index_log();
    rocksdb::DB* db = nullptr;
    status = rocksdb::DB::OpenForReadOnly(options, to.string(), &db);
    std::unique_ptr<rocksdb::DB> copy(db);
    if (!status.ok()) return std::unexpected(index_error(status));
    return position_of(*copy);
}

std::optional<Result<std::string>> Index::get(PartitionId partition, std::string_view key, const Snapshot* snapshot,
                                              Wait wait) const {
    auto found = get_raw(*db_, make_key(partition, Kind::entry, key), snapshot, wait);
    if (!found) return std::nullopt;
    if (!*found) return pass_on(*found);
    return (*found)->ToString();
}

std::optional<Result<Entries>> Index::scan(PartitionId partition, const KeyRange& range, std::size_t limit,
                                           const Snapshot* snapshot, Wait wait) const {
    Entries entries;
    if (limit == 0 || range.begin >= range.end) return entries;
    const auto expected = std::min(limit, kReserve);
    entries.reserve(expected, expected * kEntryOctets);
    auto options = read_options(snapshot, wait);
    std::string end = make_key(partition, Kind::entry, range.end);
    rocksdb::Slice upper(end);
    options.iterate_upper_bound = &upper;  // within the prefix or right behind it: so that is not compared
    std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options));
    for (it->Seek(make_key(partition, Kind::entry, range.begin)); it->Valid(); it->Next()) {
        entries.add(it->key().ToStringView().substr(kPrefix), it->value().ToStringView());
        if (entries.size() == limit) break;
    }
    if (it->status().IsIncomplete()) return std::nullopt;
    if (!it->status().ok()) return std::unexpected(index_error(it->status()));
    return entries;
}

std::optional<Result<ChangeNumber>> Index::change_number(PartitionId partition, const Snapshot* snapshot,
                                                         Wait wait) const {
    auto found = get_raw(*db_, make_key(partition, Kind::change), snapshot, wait);
    if (!found) return std::nullopt;
    if (!*found) {
        if (found->error().code() == Errc::not_found) return ChangeNumber(0);
        return pass_on(*found);
    }
    Decoder in((*found)->ToStringView());
    ChangeNumber number(in.u64());
    if (!in.ok()) return fail(Errc::corrupt, "index: a change number is damaged");
    return number;
}

std::optional<Result<BodyPlace>> Index::look_up_place(PartitionId partition, BodyId id, Wait wait) const {
    auto found = get_raw(*db_, body_key(partition, id), nullptr, wait);
    if (!found) return std::nullopt;
    if (!*found) return pass_on(*found);
    auto place = decode_place((*found)->ToStringView());
    if (place) places_.correct(partition, id, *place);
    return place;
}

Result<BodyPlace> Index::place(PartitionId partition, BodyId id) const {
    return *look_up_place(partition, id, Wait::yes);
}

std::optional<Result<BodyPlace>> Index::place_at_hand(PartitionId partition, BodyId id) const {
    return look_up_place(partition, id, Wait::no);
}

std::optional<Result<std::vector<Index::Placed>>> Index::places(PartitionId partition, BodyId first, std::size_t limit,
                                                                Wait wait) const {
    std::vector<Placed> found = places_.find(partition, first, limit);
    if (!found.empty()) return found;
    const auto epoch = places_.epoch();
    found.reserve(limit);
    // No upper bound, because it would be compared with each key, twice. Without one the scan ends soon, too: right
    // behind the bodies comes another partition's change number, which is never erased.
    const auto prefix = make_key(partition, Kind::body);
    std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(read_options(nullptr, wait)));
    for (it->Seek(body_key(partition, first)); it->Valid(); it->Next()) {
        const auto key = it->key().ToStringView();
        if (!key.starts_with(prefix)) break;
        auto place = decode_place(it->value().ToStringView());
        if (!place && found.empty()) return pass_on(place);
        if (!place) break;  // those before it are good
        found.push_back({BodyId(Decoder(key.substr(kPrefix)).u64_key()), *place});
        if (found.size() == limit) break;
    }
    if (it->status().IsIncomplete() && found.empty()) return std::nullopt;
    // The places that were in memory will do.
    if (!it->status().ok() && !it->status().IsIncomplete()) return std::unexpected(index_error(it->status()));
    places_.keep(partition, found, epoch);
    return found;
}

std::shared_ptr<const Snapshot> Index::snapshot() const { return std::make_shared<IndexSnapshot>(db_); }

void Index::stage(rocksdb::WriteBatch& batch, PartitionId partition, const RecordMeta& meta, SegmentId segment,
                  std::uint64_t offset) {
    // In the order of the keys: each is then inserted beside the one before.
    batch.Put(make_key(partition, Kind::change), Encoder().u64(meta.change.value).bytes());
    Keys entries(partition, Kind::entry);
    for (const auto& key : meta.erased) batch.Delete(entries(key));
    for (const auto& entry : meta.puts) batch.Put(entries(entry.key), entry.value);
    for (const auto& body : meta.bodies) {
        stage_place(batch, partition, body.id, body.place(segment, offset));
        if (body.shared != BodyId()) batch.Put(reference_key(body.shared, partition, body.id), {});
        if (partition == kSharedBodies) batch.Put(held_key(body.id), {});
        offset += body.inline_octets;
    }
    for (auto id : meta.erased_bodies) batch.Delete(body_key(partition, id));
}

void Index::stage_place(rocksdb::WriteBatch& batch, PartitionId partition, BodyId id, const BodyPlace& place) {
    batch.Put(body_key(partition, id), encode_place(place));
}

void Index::stage_unreferenced(rocksdb::WriteBatch& batch, BodyId shared, PartitionId partition, BodyId id) {
    batch.Delete(reference_key(shared, partition, id));
}
void Index::stage_released(rocksdb::WriteBatch& batch, BodyId shared) { batch.Delete(held_key(shared)); }
void Index::stage_gone(rocksdb::WriteBatch& batch, PartitionId partition, BodyId id) {
    batch.Delete(body_key(partition, id));
}

Result<> Index::for_each_reference(BodyId shared, const std::function<bool(PartitionId, BodyId)>& each) const {
    rocksdb::ReadOptions options;
    options.prefix_same_as_start = true;
    std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options));
    for (it->Seek(reference_key(shared, PartitionId(0), BodyId(0))); it->Valid(); it->Next()) {
        Decoder key(it->key().ToStringView().substr(kPrefix));
        if (key.u64_key() != shared.value) break;
        const PartitionId partition(key.u64_key());
        if (!each(partition, BodyId(key.u64_key()))) break;
    }
    if (!it->status().ok()) return std::unexpected(index_error(it->status()));
    return {};
}

Result<std::vector<std::pair<PartitionId, BodyId>>> Index::owners(PartitionId partition, BodyId id) const {
    std::vector<std::pair<PartitionId, BodyId>> found;
    auto each = [&](PartitionId whose, BodyId body) {
        found.emplace_back(whose, body);
        return true;
    };
    if (partition != kSharedBodies) return std::vector{std::pair(partition, id)};
    if (auto done = for_each_reference(id, each); !done) return pass_on(done);
    return found;
}

Result<bool> Index::is_held(BodyId shared) const {
    std::string value;
    auto status = db_->Get(read_options(nullptr, Wait::yes), held_key(shared), &value);
    if (!status.ok() && !status.IsNotFound()) return std::unexpected(index_error(status));
    return status.ok();
}

Result<std::vector<BodyId>> Index::held_bodies() const {
    rocksdb::ReadOptions options;
    options.prefix_same_as_start = true;
    std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options));
    std::vector<BodyId> found;
    for (it->Seek(held_key(BodyId(0))); it->Valid(); it->Next())
        found.emplace_back(Decoder(it->key().ToStringView().substr(kPrefix)).u64_key());
    if (!it->status().ok()) return std::unexpected(index_error(it->status()));
    return found;
}

void Index::stage_space(rocksdb::WriteBatch& batch, SegmentId id, const SegmentSpace* space) {
    auto key = make_key(PartitionId(0), Kind::segment, Encoder().u64_key(id.number).u32_key(id.pass).bytes());
    if (space)
        batch.Put(key, encode_space(*space));
    else
        batch.Delete(key);
}

Result<std::vector<std::pair<SegmentId, SegmentSpace>>> Index::segment_spaces() const {
    std::vector<std::pair<SegmentId, SegmentSpace>> found;
    rocksdb::ReadOptions options;
    options.prefix_same_as_start = true;
    std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options));
    for (it->Seek(make_key(PartitionId(0), Kind::segment)); it->Valid(); it->Next()) {
        Decoder key(it->key().ToStringView().substr(kPrefix));
        SegmentId id;
        id.number = key.u64_key();
        id.pass = key.u32_key();
        auto space = decode_space(it->value().ToStringView());
        if (!space) return pass_on(space);
        found.emplace_back(id, *space);
    }
    if (!it->status().ok()) return std::unexpected(index_error(it->status()));
    return found;
}

Result<> Index::write(rocksdb::WriteBatch& batch, const Position& position) {
    count_nothing();
    Encoder value;
    value.varint(position.segment).varint(position.offset);
    value.varint(position.next_sequence).varint(position.next_body);
    batch.Put(position_key(), value.bytes());
    rocksdb::WriteOptions options;
    options.disableWAL = !wal_;
    options.sync = wal_;
    if (auto status = db_->Write(options, &batch); !status.ok()) return std::unexpected(index_error(status));
    if (batch.HasDelete()) {
        ErasedBodies erased(places_);
        (void)batch.Iterate(&erased);
    }
    return {};
}

Result<> Index::flush(FlushMode mode) {
    rocksdb::FlushOptions options;
    options.wait = mode == FlushMode::wait;
    options.allow_write_stall = true;
    auto status = db_->Flush(options);
    if (!status.ok() && patience_->was_full()) return fail(Errc::no_space, "index: " + status.ToString());
    if (!status.ok()) return std::unexpected(index_error(status));
    return {};
}

Result<> Index::merge(PartitionId partition) const {
    const auto now = db_->GetLatestSequenceNumber();
    std::uint64_t oldest = 0;
    if (!db_->GetIntProperty(rocksdb::DB::Properties::kOldestSnapshotSequence, &oldest))
        return fail(Errc::io, "index: it does not tell which snapshots there are");
    if (oldest != 0 && oldest < now) return fail(Errc::busy, "somebody still reads what was there before");
    const auto begin = Encoder().u64_key(partition.value).bytes(), end = Encoder().u64_key(partition.value + 1).bytes();
    const rocksdb::Slice from(begin), to(end);
    rocksdb::CompactRangeOptions options;
    options.exclusive_manual_compaction = false;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
    auto status = db_->CompactRange(options, &from, &to);
    if (!status.ok() && patience_->was_full()) return fail(Errc::no_space, "index: " + status.ToString());
    if (!status.ok()) return std::unexpected(index_error(status));
    return {};
}

Index::Walk::Walk(const Index& index) {
    rocksdb::ReadOptions options;
    options.total_order_seek = true;
    options.fill_cache = false;
    it_.reset(index.db_->NewIterator(options));
    it_->SeekToFirst();
}
Index::Walk::~Walk() = default;
bool Index::Walk::valid() const { return it_->Valid(); }
void Index::Walk::next() { it_->Next(); }
std::string_view Index::Walk::raw_key() const { return it_->key().ToStringView(); }
PartitionId Index::Walk::partition() const { return PartitionId(Decoder(raw_key()).u64_key()); }
Index::Kind Index::Walk::kind() const { return static_cast<Kind>(raw_key().substr(0, kPrefix).back()); }
std::string_view Index::Walk::rest() const { return raw_key().substr(kPrefix); }
std::string_view Index::Walk::value() const { return it_->value().ToStringView(); }
Result<> Index::Walk::sound() const {
    if (!it_->status().ok()) return std::unexpected(index_error(it_->status()));
    return {};
}

Result<> Index::for_each_body(const std::function<bool(PartitionId, BodyId, const BodyPlace&)>& each) const {
    rocksdb::ReadOptions options;
    options.total_order_seek = true;
    options.fill_cache = false;
    std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options));
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
        Decoder key(it->key().ToStringView());
        PartitionId partition(key.u64_key());
        if (static_cast<Kind>(key.u8()) != Kind::body) continue;
        auto place = decode_place(it->value().ToStringView());
        if (!place) return pass_on(place);
        if (!each(partition, BodyId(key.u64_key()), *place)) break;
    }
    if (!it->status().ok()) return std::unexpected(index_error(it->status()));
    return {};
}

Result<std::vector<PartitionId>> Index::partitions(PartitionId after, std::size_t limit) const {
    rocksdb::ReadOptions options;
    options.total_order_seek = true;
    std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options));
    std::vector<PartitionId> found;
    while (found.size() < limit && after.value != ~0ull) {
        it->Seek(make_key(PartitionId(after.value + 1), Kind::change));
        if (!it->Valid()) break;
        after = PartitionId(Decoder(it->key().ToStringView()).u64_key());
        if (after == kSharedBodies) break;
        found.push_back(after);
    }
    if (!it->status().ok()) return std::unexpected(index_error(it->status()));
    return found;
}

Result<std::vector<Damage>> Index::check_files(const std::function<bool(std::uint64_t)>& pace) const {
    return files_->check(pace);
}

Result<std::string> Index::scrub_state() const {
    auto found = get_raw(*db_, make_key(PartitionId(0), Kind::scrub), nullptr, Wait::yes);
    if (!*found) return pass_on(*found);
    return (*found)->ToString();
}

Result<> Index::store_scrub_state(const std::string& state) {
    rocksdb::WriteOptions options;
    options.disableWAL = !wal_;
    auto status = db_->Put(options, make_key(PartitionId(0), Kind::scrub), state);
    if (!status.ok()) return std::unexpected(index_error(status));
    return {};
}

Result<> Index::remember_files(const std::filesystem::path& directory) {
    const auto key = make_key(PartitionId(0), Kind::files);
    auto stored = get_raw(*db_, key, nullptr, Wait::yes);
    if (!*stored && stored->error().code() != Errc::not_found) return pass_on(*stored);
    files_ = std::make_unique<IndexFiles>(*db_, directory, *stored ? (*stored)->ToStringView() : std::string_view());
    rocksdb::WriteOptions options;
    options.disableWAL = !wal_;
    if (auto status = db_->Put(options, key, files_->sums()); !status.ok()) return std::unexpected(index_error(status));
    return {};
}

std::uint64_t Index::disk_octets() const {
    std::uint64_t octets = 0;
    db_->GetIntProperty(rocksdb::DB::Properties::kTotalSstFilesSize, &octets);
    return octets;
}

}  // namespace poplar::engine::local
