// Makes and checks the data directory; every name is made durable before anything rests on it.
#include "engine/local/store_directory.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/random.h"
#include "engine/local/store_format.h"

namespace poplar::engine::local {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kOpenReaders = 256;
constexpr std::uint64_t kLargeFolders = 256;
constexpr char kDroppedIndex[] = "index.dropped";

Result<std::string> read_small_file(Disk& disk, const fs::path& path) {
    auto file = File::open(disk, path, File::Mode::read);
    if (!file) return pass_on(file);
    std::string text(4096, '\0');
    auto got = file->read_at(text.data(), text.size(), 0);
    if (!got) return pass_on(got);
    text.resize(*got);
    return text;
}

template <class Number>
bool parse(std::string_view text, Number& number, int base) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
    return error == std::errc{} && end == text.data() + text.size();
}

// "0000000001.seg" or, of a copy, "0000000001.2.seg".
std::optional<SegmentId> segment_of(std::string_view name) {
    constexpr std::string_view kSuffix = ".seg";
    if (!name.ends_with(kSuffix)) return std::nullopt;
    name.remove_suffix(kSuffix.size());
    auto dot = name.find('.');
    SegmentId id;
    bool ours = parse(name.substr(0, dot), id.number, 10);
    if (dot != std::string_view::npos) ours = ours && parse(name.substr(dot + 1), id.pass, 10);
    return ours ? std::optional(id) : std::nullopt;
}

// LOCK says which file it is, so that a copy of the directory can be told. "": the system does not say.
std::string lock_text(const File& lock) {
    auto identity = lock.identity();
    return identity ? fmt::format("file {}\n", *identity) : std::string();
}

constexpr char kDraft[] = ".draft";
fs::path draft(fs::path segment) { return segment.replace_extension(kDraft); }

}  // namespace

Result<std::unique_ptr<StoreDirectory>> StoreDirectory::open(Disk& disk, const fs::path& root) {
    if (auto made = ensure_directory(disk, root); !made) return pass_on(made);
    auto path = root / "LOCK";
    auto lock = File::open(disk, path, File::Mode::create_new);
    if (!lock && lock.error().code() == Errc::exists) lock = File::open(disk, path, File::Mode::read_write);
    if (!lock) return pass_on(lock);
    if (auto locked = lock->lock(); !locked) {
        if (locked.error().code() != Errc::busy) return pass_on(locked);
        return fail(Errc::busy, fmt::format("{} is in use by another poplar", root.string()));
    }
    std::unique_ptr<StoreDirectory> store(new StoreDirectory(disk, root, std::move(*lock)));
    auto written = read_small_file(disk, path);
    store->is_copy_ = written && !written->empty() && *written != lock_text(store->lock_);
    if (auto ready = store->prepare(); !ready) return pass_on(ready);
    if (auto ready = store->prepare_large(); !ready) return pass_on(ready);
    return store;
}

// Nothing rests on it but an advice, so it is not synced.
void StoreDirectory::settle_here() {
    auto text = lock_text(lock_);
    auto written = read_small_file(disk_, root_ / "LOCK");
    if (text.empty() || (written && *written == text)) return;
    if (lock_.truncate(0)) (void)lock_.write_at(text, 0);
    is_copy_ = false;
}

Result<> StoreDirectory::prepare() {
    if (auto ready = prepare_format(); !ready) return ready;
    // A process that died may have given names without making them durable; what is acknowledged from now on rests on
    // them.
    if (auto done = sync_directory(disk_, root_, Sync::format_name); !done) return done;
    return sync_directory(disk_, root_ / "log/0", Sync::found_segments);
}

// FORMAT is written last: a directory that has one is complete.
Result<> StoreDirectory::prepare_format() {
    auto text = read_small_file(disk_, root_ / "FORMAT");
    if (text) {
        auto format = parse_format(*text);
        if (!format && format.error().code() == Errc::invalid)
            return fail(Errc::invalid, fmt::format("{} has {}", root_.string(), format.error().detail()));
        if (format) {
            mark_ = format->mark;
            return format->version < StoreFormat::kNewest ? write_format() : Result<>();
        }
        // The segments know the mark, too.
        auto mark = mark_of_segments();
        if (!mark) return fail(Errc::invalid, fmt::format("{} is not a poplar data directory", root_.string()));
        mark_ = *mark;
        return {};
    }
    if (text.error().code() != Errc::not_found) return pass_on(text);

    for (auto directory : {root_ / "log", root_ / "log/0", root_ / "large", root_ / "large/incoming"})
        if (auto made = ensure_directory(disk_, directory); !made) return pass_on(made);
    auto existing = segments();
    if (!existing) return pass_on(existing);
    if (!existing->empty()) return fail(Errc::invalid, fmt::format("{} has segments but no FORMAT", root_.string()));
    mark_ = RecordMark(random_u64());
    for (auto directory : {root_ / "log", root_ / "large", root_})
        if (auto done = sync_directory(disk_, directory, Sync::store_folders); !done) return pass_on(done);
    (void)sync_directory(disk_, root_ / "..", Sync::store_name);  // may not be ours to open
    return write_format();
}

Result<> StoreDirectory::write_format() const {
    auto path = root_ / "FORMAT", draft = root_ / "FORMAT.new";
    (void)unlink_file(disk_, draft);
    auto file = File::open(disk_, draft, File::Mode::create_new);
    if (!file) return pass_on(file);
    if (auto done = file->write_at(encode_format({.mark = mark_}), 0); !done) return pass_on(done);
    if (auto done = file->sync_metadata(Sync::format); !done) return pass_on(done);
    disk_.reached(Step::format_written);
    if (auto done = rename_file(disk_, draft, path); !done) return done;
    disk_.reached(Step::format_named);
    return {};
}

Result<> StoreDirectory::check_format() const {
    auto text = read_small_file(disk_, root_ / "FORMAT");
    if (!text) return pass_on(text);
    if (*text != encode_format({.mark = mark_})) return fail(Errc::corrupt, "FORMAT is damaged");
    return {};
}

// The mark that most of the segments' headers have.
Result<RecordMark> StoreDirectory::mark_of_segments() const {
    auto ids = segments();
    if (!ids) return pass_on(ids);
    std::map<RecordMark, std::size_t> votes;
    for (auto id : *ids) {
        auto file = File::open(disk_, segment(id), File::Mode::read);
        if (!file) return pass_on(file);
        std::string bytes(kSegmentHeader, '\0');
        auto got = file->read_at(bytes.data(), bytes.size(), 0);
        if (!got) return pass_on(got);
        if (auto header = parse_segment_header(std::string_view(bytes).substr(0, *got))) ++votes[header->mark];
    }
    if (votes.empty()) return fail(Errc::corrupt, "no segment tells the store's mark");
    return std::ranges::max_element(votes, {}, [](const auto& vote) { return vote.second; })->first;
}

// All folders at once, so that no delivery has to see to it that its folder's name is durable.
Result<> StoreDirectory::prepare_large() {
    for (std::uint64_t i = 0; i < kLargeFolders; ++i)
        if (auto made = ensure_directory(disk_, large_body({}, BodyId(i)).parent_path()); !made) return made;
    return sync_directory(disk_, root_ / "large", Sync::body_folders);
}

Result<bool> StoreDirectory::rebuild_was_interrupted() const {
    auto names = list_directory(disk_, root_);
    if (!names) return pass_on(names);
    return std::ranges::find(*names, old_index().filename().string(), &Disk::Name::name) != names->end();
}

Result<> StoreDirectory::set_aside_index() const {
    // If there is an old index already, it stays: it may know what the interrupted rebuild did not get to.
    auto interrupted = rebuild_was_interrupted();
    if (!interrupted) return pass_on(interrupted);
    auto dropped = root_ / kDroppedIndex;
    if (auto gone = remove_tree(disk_, dropped); !gone) return gone;
    auto renamed = rename_file(disk_, index(), *interrupted ? dropped : old_index());
    if (!renamed && renamed.error().code() != Errc::not_found) return renamed;
    if (auto synced = sync_directory(disk_, root_, Sync::index_dropped); !synced) return synced;
    disk_.reached(Step::index_dropped);
    return remove_tree(disk_, dropped);
}

Result<> StoreDirectory::drop_old_index() const {
    // Renamed first, so that half an index never has the old one's name.
    auto dropped = root_ / kDroppedIndex;
    auto renamed = rename_file(disk_, old_index(), dropped);
    if (!renamed && renamed.error().code() != Errc::not_found) return renamed;
    if (auto synced = sync_directory(disk_, root_, Sync::index_dropped); !synced) return synced;
    return remove_tree(disk_, dropped);
}

fs::path StoreDirectory::segment(SegmentId id) const {
    auto pass = id.pass == 0 ? std::string() : fmt::format(".{}", id.pass);
    return root_ / fmt::format("log/0/{:010}{}.seg", id.number, pass);
}

Result<std::vector<SegmentId>> StoreDirectory::segments() const {
    std::vector<SegmentId> segments;
    auto names = list_directory(disk_, root_ / "log/0");
    if (!names) return pass_on(names);
    for (const auto& entry : *names)
        if (auto id = segment_of(entry.name); id && segment(*id).filename() == entry.name) segments.push_back(*id);
    std::ranges::sort(segments);
    return segments;
}

Result<std::uint64_t> StoreDirectory::segment_disk_octets(SegmentId id) const {
    return disk_octets(disk_, segment(id));
}

Result<File> StoreDirectory::create_segment(std::uint64_t number, std::uint64_t first_sequence) const {
    SegmentId id{number, 0};
    auto file = File::open(disk_, segment(id), File::Mode::create_new);
    if (!file) return pass_on(file);
    auto fill = [&]() -> Result<> {
        auto header = encode_segment_header({.mark = mark_, .id = id, .first_sequence = first_sequence});
        if (auto done = file->write_at(header, 0); !done) return done;
        disk_.reached(Step::segment_created);
        if (auto done = file->sync_metadata(Sync::segment_header); !done) return health_.stop(done.error());
        if (auto done = sync_directory(disk_, root_ / "log/0", Sync::segment_name); !done)
            return health_.stop(done.error());
        disk_.reached(Step::segment_named);
        return {};
    };
    if (auto done = fill(); !done) {
        (void)unlink_file(disk_, file->path());  // a half-made segment must not be in the way of the next try
        return pass_on(done);
    }
    return std::move(*file);
}

Result<SegmentHeader> StoreDirectory::read_header(const File& file) const {
    std::string bytes(kSegmentHeader, '\0');
    auto got = file.read_at(bytes.data(), bytes.size(), 0);
    if (!got) return pass_on(got);
    bytes.resize(*got);
    auto header = parse_segment_header(bytes);
    if (header && header->mark != mark_) return fail(Errc::corrupt, "a segment of another store");
    return header;
}

Result<std::shared_ptr<const File>> StoreDirectory::segment_reader(SegmentId id) const {
    std::uint64_t removed = 0;
    {
        std::lock_guard guard(readers_mutex_);
        if (auto it = readers_.find(id); it != readers_.end()) return it->second;
        removed = removed_;
    }
    auto file = File::open(disk_, segment(id), File::Mode::read);
    if (!file)  // one that is missing is damage: the index says it is there
        return fail(file.error().code() == Errc::not_found ? Errc::corrupt : Errc::io, file.error().detail());
    auto shared = std::make_shared<const File>(std::move(*file));
    std::lock_guard guard(readers_mutex_);
    if (removed != removed_) return shared;  // perhaps this one: its space comes back after the read
    if (readers_.size() >= kOpenReaders) readers_.erase(readers_.begin());  // the oldest mail is asked for least
    return readers_.try_emplace(id, std::move(shared)).first->second;
}

Result<> StoreDirectory::remove_segment(SegmentId id) const {
    if (auto gone = unlink_file(disk_, segment(id)); !gone && gone.error().code() != Errc::not_found) return gone;
    disk_.reached(Step::segment_unlinked);
    std::lock_guard guard(readers_mutex_);
    readers_.erase(id);
    ++removed_;
    return {};
}

Result<File> StoreDirectory::create_draft(SegmentId id) const {
    return File::open(disk_, draft(segment(id)), File::Mode::create_new);
}

Result<> StoreDirectory::publish_draft(SegmentId id) const {
    if (auto named = rename_file(disk_, draft(segment(id)), segment(id)); !named) return named;
    disk_.reached(Step::copy_named);
    if (auto synced = sync_directory(disk_, root_ / "log/0", Sync::copy_name); !synced) return synced;
    disk_.reached(Step::copy_durable);
    return {};
}

Result<> StoreDirectory::remove_draft(SegmentId id) const { return unlink_file(disk_, draft(segment(id))); }

Result<> StoreDirectory::sweep_drafts() const {
    auto names = list_directory(disk_, root_ / "log/0");
    if (!names) return pass_on(names);
    for (const auto& entry : *names)
        if (entry.name.ends_with(kDraft))
            if (auto gone = unlink_file(disk_, root_ / "log/0" / entry.name); !gone) return gone;
    return {};
}

fs::path StoreDirectory::large_body(PartitionId partition, BodyId id) const {
    return root_ / fmt::format("large/{:02x}/{:x}-{:x}", id.value % kLargeFolders, partition.value, id.value);
}
fs::path StoreDirectory::incoming_body(BodyId id) const {
    return root_ / fmt::format("large/incoming/{:016x}", id.value);
}

Result<> StoreDirectory::sweep_incoming() const {
    auto folder = root_ / "large/incoming";
    auto names = list_directory(disk_, folder);
    if (!names) return pass_on(names);
    for (const auto& entry : *names) (void)unlink_file(disk_, folder / entry.name);
    return {};
}

Result<std::vector<std::pair<PartitionId, BodyId>>> StoreDirectory::large_bodies() const {
    std::vector<std::pair<PartitionId, BodyId>> bodies;
    for (std::uint64_t i = 0; i < kLargeFolders; ++i) {
        auto folder = large_body({}, BodyId(i)).parent_path();
        auto names = list_directory(disk_, folder);
        if (!names) return pass_on(names);
        for (const auto& entry : *names) {
            std::uint64_t partition = 0, id = 0;
            std::string_view name = entry.name;
            auto dash = name.find('-');
            if (dash == std::string_view::npos) continue;
            bool body = parse(name.substr(0, dash), partition, 16) && parse(name.substr(dash + 1), id, 16) &&
                        folder / name == large_body(PartitionId(partition), BodyId(id));
            if (body) bodies.emplace_back(partition, id);
        }
    }
    return bodies;
}

Result<> StoreDirectory::keep_aside(PartitionId partition, BodyId id) const {
    auto path = large_body(partition, id), orphans = root_ / "large/orphans";
    if (auto made = ensure_directory(disk_, orphans); !made) return made;
    // Not a rename: between two folders a power cut may keep one half of it, and the file is lost.
    auto linked = link_file(disk_, path, orphans / path.filename());
    if (!linked && linked.error().code() != Errc::exists) return linked;
    for (const auto& folder : {root_ / "large", orphans})
        if (auto synced = sync_directory(disk_, folder, Sync::orphans); !synced) return synced;
    disk_.reached(Step::orphan_kept);
    return unlink_file(disk_, path);
}

std::string StoreDirectory::relative(const fs::path& path) const { return path.lexically_relative(root_).string(); }

}  // namespace poplar::engine::local
