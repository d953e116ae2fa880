#include "engine/local/backup.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "base/log.h"
#include "engine/local/backup_files.h"
#include "engine/local/log_files.h"

namespace poplar::engine::local {

namespace fs = std::filesystem;

namespace {

constexpr std::chrono::milliseconds kLookAgain(50);  // while a segment is being copied

// Whether `path` is `folder` or lies in it; both may have links on the way.
bool is_within(const fs::path& path, const fs::path& folder) {
    std::error_code failed;
    auto inner = fs::weakly_canonical(path, failed), outer = fs::weakly_canonical(folder, failed);
    if (failed) return false;
    auto [end, rest] = std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end());
    return end == outer.end();
}

// The same folder without "/" or "/." at its end: what is made in it has it as its parent_path().
fs::path without_end(fs::path folder) {
    while (folder.has_relative_path() && (!folder.has_filename() || folder.filename() == "."))
        folder = folder.parent_path();
    return folder;
}

// Where the index is copied to first, in the data directory.
fs::path index_copy(const StoreDirectory& directory) { return directory.root() / "index.backup"; }

}  // namespace

Backup::Backup(const Options& options, StoreDirectory& directory, const Index& index, Copier& copier,
               Reclaims& reclaims, DiskPool& pool, fs::path folder)
    : options_(options),
      directory_(directory),
      index_(index),
      copier_(copier),
      reclaims_(reclaims),
      pool_(pool),
      disk_(directory.disk()),
      folder_(without_end(std::move(folder))) {}

Result<> Backup::sweep(const StoreDirectory& directory) {
    // RocksDB's name for it, until it is complete.
    if (auto gone = remove_tree(directory.disk(), index_copy(directory).string() + ".tmp"); !gone) return gone;
    return remove_tree(directory.disk(), index_copy(directory));
}

Result<> Backup::check_folder() {
    if (!folder_.is_absolute()) return fail(Errc::invalid, "the folder's path has to begin with /");
    if (is_within(folder_, directory_.root()))
        return fail(Errc::invalid,
                    fmt::format("{} is in the data directory: a backup there is lost with it", folder_.string()));
    return ensure_directory(disk_, folder_);
}

Result<BackupOutcome> Backup::make(std::size_t keep, const Progress& progress) {
    if (directory_.health().stopped()) return fail(Errc::io, directory_.health().state());
    // The index writes what it has in memory first, and waits where there is no room for that.
    if (auto space = free_space(disk_, directory_.root()); space && *space < options_.write_buffer)
        return fail(Errc::no_space, "the store's own disk is nearly full");
    if (auto checked = check_folder(); !checked) return pass_on(checked);
    auto lock = lock_backups(disk_, folder_);
    if (!lock) return pass_on(lock);
    if (auto swept = sweep_drafts(disk_, folder_); !swept) return pass_on(swept);
    auto listed = list_backups(disk_, folder_);
    if (!listed) return pass_on(listed);
    for (const auto& one : *listed) {
        if (one.manifest && one.manifest->mark == directory_.mark()) previous_ = one;
        newest_ = std::max(newest_, taken_of(one.name));
    }
    manifest_.mark = directory_.mark();
    progress_ = &progress;

    auto made = gather(progress);
    if (made) made = finish(progress);
    (void)sweep(directory_);
    if (!made) {
        if (!draft_.empty()) (void)remove_tree(disk_, draft_);
        return pass_on(made);
    }
    return BackupOutcome{name_, totals_, forget_old(keep)};
}

Result<> Backup::gather(const Progress& progress) {
    // A copy that is being made may wait for room for long: whoever asked for the backup can give it up meanwhile.
    auto no_copying = copier_.try_pause();
    for (; !no_copying; no_copying = copier_.try_pause()) {
        if (!progress(totals_)) return fail(Errc::cancelled, "the backup was given up");
        std::this_thread::sleep_for(kLookAgain);
    }
    Reclaims::Hold hold(reclaims_, pool_);
    const auto copied = index_copy(directory_);
    if (auto swept = sweep(directory_); !swept) return swept;
    auto position = index_.copy_to(copied);
    if (!position) return pass_on(position);
    // Names are in the order of the backups even where a clock was wrong.
    manifest_.taken = std::max(system_clock().now(), newest_ + std::chrono::milliseconds(1));
    name_ = backup_name(manifest_.taken);
    draft_ = draft_of(folder_, name_);
    if (auto made = make_folders(disk_, folder_, draft_ / kBackupData); !made) return made;
    folders_.insert(draft_);
    folders_.insert(draft_ / kBackupData);

    // Whether links can be made tells whether it is one file system.
    auto probe = draft_ / "probe";
    one_file_system_ = link_file(disk_, directory_.root() / "FORMAT", probe).has_value();
    if (one_file_system_) (void)unlink_file(disk_, probe);

    auto identity = directory_.index() / "IDENTITY";
    auto text = read_text(disk_, identity);
    if (!text) return pass_on(text);
    if (auto done = write_text(disk_, copied / "IDENTITY", *text); !done) return done;
    if (auto done = add(directory_.root() / "FORMAT", "FORMAT", std::nullopt, Share::no); !done) return done;
    if (auto done = add_folder(copied, "index", Share::yes); !done) return done;
    if (auto done = add_log(*position); !done) return done;
    if (!progress(totals_)) return fail(Errc::cancelled, "the backup was given up");
    return add_folder(directory_.root() / "large", "large", Share::yes);
}

// Files behind the position are of a later moment. The one that has it may go on behind it.
Result<> Backup::add_log(const Position& position) {
    auto files = read_log(directory_);
    if (!files) return pass_on(files);
    for (const auto& file : *files) {
        auto path = directory_.segment(file.id);
        if (file.id.number > position.segment) break;
        const bool last = file.id.number == position.segment;
        auto size = last ? std::optional(position.offset) : std::nullopt;
        auto done = add(path, directory_.relative(path), size, last ? Share::no : Share::yes);
        if (!done) return done;
    }
    return {};
}

Result<> Backup::add_folder(const fs::path& below, const fs::path& as, Share share) {
    auto names = list_directory(disk_, below);
    if (!names) return pass_on(names);
    for (const auto& entry : *names) {
        if (as == "large" && entry.name == "incoming") continue;  // nobody was told that it is safe
        const auto path = below / entry.name, name = as / entry.name;
        // RocksDB goes on with all its files but the tables.
        auto own = as == "index" && !entry.name.ends_with(".sst") ? Share::no : share;
        auto done = entry.directory ? add_folder(path, name, share) : add(path, name.string(), std::nullopt, own);
        if (!done) return done;
    }
    return {};
}

Result<> Backup::add(const fs::path& from, std::string as, std::optional<std::uint64_t> size, Share share) {
    if (!size) {
        auto file = File::open(disk_, from, File::Mode::read);
        if (!file) return pass_on(file);
        auto found = file->size();
        if (!found) return pass_on(found);
        size = *found;
    }
    const auto to = draft_ / kBackupData / as;
    if (folders_.insert(to.parent_path()).second)
        if (auto made = make_folders(disk_, folder_, to.parent_path()); !made) return made;
    BackupFile file{as, *size, {}};
    ++totals_.files;
    totals_.octets += *size;

    const auto* before = previous_ && share == Share::yes ? previous_->manifest->find(as) : nullptr;
    const auto earlier = previous_ ? folder_ / previous_->name / kBackupData / as : fs::path();
    if (before && before->size != *size) before = nullptr;
    bool there = false;
    if (share == Share::yes && one_file_system_) {
        if (before && same_file(disk_, from, earlier)) file.digest = before->digest;
        there = link_file(disk_, from, to).has_value();
        if (!there) file.digest.clear();
    } else if (before && same_ends(disk_, from, earlier) && link_file(disk_, earlier, to)) {
        file.digest = before->digest;
        there = true;
    }
    if (there && file.digest.empty()) pending_.push_back({manifest_.files.size(), to});
    if (!there) {
        if (auto space = free_space(disk_, folder_);
            one_file_system_ && space && *space < *size + options_.min_free_space)
            return fail(Errc::no_space, "the store's own disk would have less than storage.min_free_space left");
        auto pace = [this](std::uint64_t octets) {
            totals_.copied_octets += octets;
            return go_on();
        };
        auto digest = copy_file(disk_, from, to, *size, pace);
        if (!digest) return pass_on(digest);
        file.digest = std::move(*digest);
        ++totals_.copied_files;
    }
    manifest_.files.push_back(std::move(file));
    return go_on() ? Result<>() : fail(Errc::cancelled, "the backup was given up");
}

// From here on others go on as always: what has a name here never changes.
Result<> Backup::finish(const Progress& progress) {
    for (const auto& one : pending_) {
        auto digest = digest_file(disk_, one.path, [&](std::uint64_t) { return progress(totals_); });
        if (!digest) return pass_on(digest);
        manifest_.files[one.file].digest = std::move(*digest);
    }
    std::ranges::sort(manifest_.files, {}, &BackupFile::path);
    if (auto done = write_text(disk_, draft_ / kBackupManifest, encode_manifest(manifest_)); !done) return done;
    for (const auto& folder : folders_)
        for (auto path = folder; path != folder_ && path.has_relative_path(); path = path.parent_path())
            if (path == folder || !folders_.contains(path))
                if (auto done = sync_directory(disk_, path, Sync::copy_name); !done) return done;
    if (auto done = rename_file(disk_, draft_, folder_ / name_); !done) return done;
    return sync_directory(disk_, folder_, Sync::copy_name);
}

// One that can't be removed is no failure of the backup that was made.
std::uint64_t Backup::forget_old(std::size_t keep) {
    if (keep == 0) return 0;
    auto listed = list_backups(disk_, folder_);
    if (!listed) return 0;
    std::uint64_t forgotten = 0;
    // One that can't be read does not count, and stays for somebody to look at.
    std::erase_if(*listed,
                  [this](const auto& one) { return !one.manifest || one.manifest->mark != directory_.mark(); });
    std::erase_if(*listed, [this](const auto& one) { return one.name == name_; });  // it stays whatever the others say
    for (std::size_t i = 0; i + keep <= listed->size(); ++i) {
        auto gone = forget_backup(disk_, folder_, (*listed)[i].name);
        if (gone)
            ++forgotten;
        else
            log::warning("store.backup_stays", {{"name", (*listed)[i].name}, {"reason", gone.error().detail()}});
    }
    return forgotten;
}

}  // namespace poplar::engine::local
