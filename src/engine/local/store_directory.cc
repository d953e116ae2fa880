#include "engine/local/store_directory.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/random.h"

namespace poplar::engine::local {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kOpenReaders = 256;
constexpr std::uint64_t kLargeFolders = 256;

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
    if (auto ready = store->prepare(); !ready) return pass_on(ready);
    if (auto ready = store->prepare_large(); !ready) return pass_on(ready);
    if (auto gone = remove_tree(disk, root / "index.old"); !gone) return pass_on(gone);  // of an interrupted rebuild
    return store;
}

// FORMAT is written last: a directory that has one is complete.
Result<> StoreDirectory::prepare() {
    auto path = root_ / "FORMAT";
    auto format = read_small_file(disk_, path);
    if (format) {
        std::string_view text = *format;
        constexpr std::string_view kName = "poplar-store ";
        auto line = text.substr(0, text.find('\n'));
        int version = 0;
        if (!line.starts_with(kName) || !parse(line.substr(kName.size()), version, 10) || version < 1)
            return fail(Errc::invalid, fmt::format("{} is not a poplar data directory", root_.string()));
        if (version > kFormat)
            return fail(Errc::invalid, fmt::format("{} has store format {}, this poplar knows up to {}", root_.string(),
                                                   version, kFormat));
        auto rest = text.substr(std::min(text.size(), line.size() + 1));
        constexpr std::string_view kMark = "mark ";
        rest = rest.substr(0, rest.find('\n'));
        if (!rest.starts_with(kMark) || !parse(rest.substr(kMark.size()), mark_.value, 16))
            return fail(Errc::corrupt, fmt::format("{} is damaged", path.string()));
        return {};
    }
    if (format.error().code() != Errc::not_found) return pass_on(format);

    for (auto directory : {root_ / "log", root_ / "log/0", root_ / "large", root_ / "large/incoming"})
        if (auto made = ensure_directory(disk_, directory); !made) return pass_on(made);
    auto existing = segments();
    if (!existing) return pass_on(existing);
    if (!existing->empty()) return fail(Errc::invalid, fmt::format("{} has segments but no FORMAT", root_.string()));
    mark_ = RecordMark(random_u64());
    auto draft = root_ / "FORMAT.new";
    (void)unlink_file(disk_, draft);
    auto file = File::open(disk_, draft, File::Mode::create_new);
    if (!file) return pass_on(file);
    for (auto directory : {root_ / "log", root_ / "large", root_})
        if (auto done = sync_directory(disk_, directory, Sync::store_folders); !done) return pass_on(done);
    (void)sync_directory(disk_, root_ / "..", Sync::store_name);  // may not be ours to open
    if (auto done = file->write_at(fmt::format("poplar-store {}\nmark {:016x}\n", kFormat, mark_.value), 0); !done)
        return pass_on(done);
    if (auto done = file->sync_metadata(Sync::format); !done) return pass_on(done);
    disk_.reached(Step::format_written);
    if (auto done = rename_file(disk_, draft, path); !done) return pass_on(done);
    if (auto done = sync_directory(disk_, root_, Sync::format_name); !done) return done;
    disk_.reached(Step::format_named);
    return {};
}

// All folders at once, so that no delivery has to see to it that its folder's name is durable.
Result<> StoreDirectory::prepare_large() {
    for (std::uint64_t i = 0; i < kLargeFolders; ++i)
        if (auto made = ensure_directory(disk_, large_body({}, BodyId(i)).parent_path()); !made) return made;
    return sync_directory(disk_, root_ / "large", Sync::body_folders);
}

Result<> StoreDirectory::drop_index() const {
    auto old = root_ / "index.old";
    if (auto gone = remove_tree(disk_, old); !gone) return gone;
    auto renamed = rename_file(disk_, index(), old);
    if (!renamed && renamed.error().code() != Errc::not_found) return renamed;
    if (auto synced = sync_directory(disk_, root_, Sync::index_dropped); !synced) return synced;
    disk_.reached(Step::index_dropped);
    return remove_tree(disk_, old);
}

fs::path StoreDirectory::segment(std::uint64_t number) const { return root_ / fmt::format("log/0/{:010}.seg", number); }

Result<std::vector<std::uint64_t>> StoreDirectory::segments() const {
    std::vector<std::uint64_t> numbers;
    auto names = list_directory(disk_, root_ / "log/0");
    if (!names) return pass_on(names);
    for (const auto& entry : *names) {
        std::uint64_t number = 0;
        fs::path path = entry.name;
        if (path.extension() == ".seg" && parse(path.stem().string(), number, 10)) numbers.push_back(number);
    }
    std::ranges::sort(numbers);
    return numbers;
}

Result<File> StoreDirectory::create_segment(std::uint64_t number, std::uint64_t first_sequence) const {
    auto file = File::open(disk_, segment(number), File::Mode::create_new);
    if (!file) return pass_on(file);
    auto fill = [&]() -> Result<> {
        auto header = encode_segment_header({mark_, number, first_sequence});
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

Result<std::shared_ptr<const File>> StoreDirectory::segment_reader(std::uint64_t number) const {
    {
        std::lock_guard guard(readers_mutex_);
        if (auto it = readers_.find(number); it != readers_.end()) return it->second;
    }
    auto file = File::open(disk_, segment(number), File::Mode::read);
    if (!file)  // one that is missing is damage: the index says it is there
        return fail(file.error().code() == Errc::not_found ? Errc::corrupt : Errc::io, file.error().detail());
    auto shared = std::make_shared<const File>(std::move(*file));
    std::lock_guard guard(readers_mutex_);
    if (readers_.size() >= kOpenReaders) readers_.erase(readers_.begin());  // the oldest mail is asked for least
    return readers_.try_emplace(number, std::move(shared)).first->second;
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
