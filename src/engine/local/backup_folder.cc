#include "engine/local/backup_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "engine/local/backup_files.h"

namespace poplar::engine::local {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kDraft = "incomplete-";
constexpr char kLock[] = "LOCK";
constexpr char kFormat[] = "FORMAT";  // copied last: a folder that has one is a data directory

bool is_backup(std::string_view name) {
    constexpr std::string_view kForm = "dddddddd.dddddd.ddd.";
    constexpr std::string_view kOther = "        T      .   Z";
    if (name.size() != kForm.size()) return false;
    for (std::size_t i = 0; i < name.size(); ++i) {
        const bool digit = name[i] >= '0' && name[i] <= '9';
        if (kForm[i] == 'd' ? !digit : name[i] != kOther[i]) return false;
    }
    return true;
}

Result<> remove_if_there(Disk& disk, const fs::path& path) {
    auto gone = unlink_file(disk, path);
    return gone || gone.error().code() == Errc::not_found ? Result<>() : gone;
}

// Every file below `folder`, by its path from `root`.
Result<> collect(Disk& disk, const fs::path& root, const fs::path& folder, std::set<std::string>& found) {
    auto names = list_directory(disk, folder);
    if (!names) return pass_on(names);
    for (const auto& entry : *names) {
        auto path = folder / entry.name;
        if (!entry.directory)
            found.insert(path.lexically_relative(root).string());
        else if (auto done = collect(disk, root, path, found); !done)
            return done;
    }
    return {};
}

}  // namespace

std::string backup_name(Timestamp taken) {
    auto day = std::chrono::floor<std::chrono::days>(taken);
    std::chrono::year_month_day date(day);
    std::chrono::hh_mm_ss time(taken - day);
    return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}.{:03}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), time.hours().count(),
                       time.minutes().count(), time.seconds().count(), time.subseconds().count());
}

Timestamp taken_of(std::string_view name) {
    if (!is_backup(name)) return {};
    auto part = [&](std::size_t at, std::size_t size) {
        int value = 0;
        std::from_chars(name.data() + at, name.data() + at + size, value);
        return value;
    };
    const std::chrono::year_month_day date(std::chrono::year(part(0, 4)),
                                           std::chrono::month(static_cast<unsigned>(part(4, 2))),
                                           std::chrono::day(static_cast<unsigned>(part(6, 2))));
    if (!date.ok()) return {};
    return std::chrono::sys_days(date) + std::chrono::hours(part(9, 2)) + std::chrono::minutes(part(11, 2)) +
           std::chrono::seconds(part(13, 2)) + std::chrono::milliseconds(part(16, 3));
}

fs::path draft_of(const fs::path& folder, const std::string& name) { return folder / (std::string(kDraft) + name); }

bool stays_at_restore(std::string_view name) { return name == kLock || name.starts_with(kReplaced); }

Result<File> lock_store(Disk& disk, const fs::path& directory) {
    auto path = directory / kLock;
    auto lock = File::open(disk, path, File::Mode::create_new);
    if (!lock && lock.error().code() == Errc::exists) lock = File::open(disk, path, File::Mode::read_write);
    if (!lock) return lock;
    if (auto locked = lock->lock(); !locked) return pass_on(locked);
    return lock;
}

Result<File> lock_backups(Disk& disk, const fs::path& folder) {
    auto lock = lock_store(disk, folder);
    if (!lock && lock.error().code() == Errc::busy)
        return fail(Errc::busy, fmt::format("another backup is being made in {}", folder.string()));
    return lock;
}

Result<> sweep_drafts(Disk& disk, const fs::path& folder) {
    auto names = list_directory(disk, folder);
    if (!names) return pass_on(names);
    for (const auto& entry : *names)
        if (entry.directory && entry.name.starts_with(kDraft))
            if (auto gone = remove_tree(disk, folder / entry.name); !gone) return gone;
    return {};
}

Result<> forget_backup(Disk& disk, const fs::path& folder, const std::string& name) {
    auto draft = draft_of(folder, name);
    if (auto renamed = rename_file(disk, folder / name, draft); !renamed) return renamed;
    return remove_tree(disk, draft);
}

Result<std::vector<ListedBackup>> list_backups(Disk& disk, const fs::path& folder) {
    auto names = list_directory(disk, folder);
    if (!names) return pass_on(names);
    std::vector<ListedBackup> listed;
    for (const auto& entry : *names) {
        if (!entry.directory || !is_backup(entry.name)) continue;
        ListedBackup one{entry.name, std::nullopt, {}};
        auto text = read_text(disk, folder / entry.name / kBackupManifest);
        auto manifest = text ? parse_manifest(*text) : Result<BackupManifest>(pass_on(text));
        if (manifest)
            one.manifest = std::move(*manifest);
        else
            one.wrong = manifest.error().detail();
        listed.push_back(std::move(one));
    }
    std::ranges::sort(listed, {}, &ListedBackup::name);
    return listed;
}

Result<ListedBackup> find_backup(Disk& disk, const fs::path& folder, std::optional<Timestamp> at) {
    auto listed = list_backups(disk, folder);
    if (!listed) return pass_on(listed);
    for (auto it = listed->rbegin(); it != listed->rend(); ++it) {
        if (at && it->name > backup_name(*at)) continue;
        if (!it->manifest)
            return fail(Errc::corrupt, fmt::format("the backup {} can't be used: {}; --at TIME names an earlier one",
                                                   it->name, it->wrong));
        return *it;
    }
    return fail(Errc::not_found, at && !listed->empty() ? fmt::format("the first backup in {} is {}", folder.string(),
                                                                      listed->front().name)
                                                        : fmt::format("there is no backup in {}", folder.string()));
}

Result<BackupTotals> verify_backup(Disk& disk, const fs::path& folder, const ListedBackup& backup,
                                   const std::function<void(const BackupDamage&)>& report,
                                   const std::function<bool(const BackupTotals&)>& progress) {
    BackupTotals totals;
    const auto root = folder / backup.name / kBackupData;
    std::set<std::string> found;
    if (auto done = collect(disk, root, root, found); !done) return pass_on(done);
    auto pace = [&](std::uint64_t octets) {
        totals.octets += octets;
        return progress(totals);
    };
    for (const auto& file : backup.manifest->files) {
        found.erase(file.path);
        auto digest = digest_file(disk, root / file.path, pace);
        if (!digest && digest.error().code() == Errc::cancelled) return pass_on(digest);
        ++totals.files;
        if (!digest && digest.error().code() == Errc::not_found)
            report({file.path, "the file is missing"});
        else if (!digest)
            report({file.path, digest.error().detail()});
        else if (*digest != file.digest)
            report({file.path, "the file is not what was backed up"});
    }
    for (const auto& path : found) report({path, "the file was not part of the backup"});
    return totals;
}

Result<BackupTotals> restore_backup(Disk& disk, const fs::path& folder, const ListedBackup& backup,
                                    const fs::path& directory, Damaged damaged,
                                    const std::function<void(const BackupDamage&)>& report,
                                    const std::function<bool(const BackupTotals&)>& progress) {
    if (auto made = ensure_directory(disk, directory); !made) return pass_on(made);
    auto names = list_directory(disk, directory);
    if (!names) return pass_on(names);
    if (!std::ranges::all_of(*names, [](const auto& entry) { return stays_at_restore(entry.name); }))
        return fail(Errc::exists, fmt::format("{} is not empty", directory.string()));

    BackupTotals totals;
    const auto root = folder / backup.name / kBackupData;
    auto pace = [&](std::uint64_t octets) {
        totals.octets += octets;
        return progress(totals);
    };
    bool sound = true;
    std::set<fs::path> folders;
    auto copy = [&](const BackupFile& file) -> Result<> {
        auto to = directory / file.path;
        for (auto path = to.parent_path(); folders.insert(path).second && path != directory; path = path.parent_path())
            if (auto made = make_folders(disk, directory, path); !made) return made;
        auto digest = copy_file(disk, root / file.path, to, file.size, pace);
        ++totals.files;
        const bool bad = digest ? *digest != file.digest
                                : digest.error().code() == Errc::not_found || digest.error().code() == Errc::corrupt;
        if (bad) {
            sound = false;
            report({file.path, digest ? "the file is not what was backed up" : "the file is missing or too short"});
            return {};
        }
        return digest ? Result<>() : pass_on(digest);
    };
    auto all = [&]() -> Result<> {
        for (const auto& file : backup.manifest->files)
            if (file.path != kFormat)
                if (auto done = copy(file); !done) return done;
        // Where the log is served from has to be there, even if nothing is in it.
        for (const char* name : {"log/0", "large/incoming"})
            if (auto made = make_folders(disk, directory, directory / name); !made) return made;
        for (const auto& path : folders)
            if (auto done = sync_directory(disk, path, Sync::copy_name); !done) return done;
        if (!sound && damaged == Damaged::refuse)
            return fail(Errc::corrupt, fmt::format("the backup {} is damaged", backup.name));
        if (const auto* format = backup.manifest->find(kFormat))
            if (auto done = copy(*format); !done) return done;
        return sync_directory(disk, directory, Sync::copy_name);
    };
    if (auto done = all(); !done) {
        if (auto left = list_directory(disk, directory))
            for (const auto& entry : *left)
                if (!stays_at_restore(entry.name))
                    (void)(entry.directory ? remove_tree(disk, directory / entry.name)
                                           : remove_if_there(disk, directory / entry.name));
        return pass_on(done);
    }
    totals.copied_files = totals.files;
    totals.copied_octets = totals.octets;
    return totals;
}

Result<fs::path> lay_out_backup(Disk& disk, const fs::path& folder, const ListedBackup& backup) {
    const auto root = folder / backup.name / kBackupData, directory = draft_of(folder, backup.name);
    if (auto gone = remove_tree(disk, directory); !gone) return pass_on(gone);
    std::string last_segment;  // a start may go on behind its end
    for (const auto& file : backup.manifest->files)
        if (file.path.starts_with("log/")) last_segment = std::max(last_segment, file.path);
    const auto never_changes = [&](const std::string& path) {
        return (path.starts_with("log/") && path != last_segment) || path.starts_with("large/") ||
               path.ends_with(".sst");
    };
    auto lay_out = [&]() -> Result<> {
        for (const char* name : {"log/0", "large/incoming"})
            if (auto made = make_folders(disk, folder, directory / name); !made) return made;
        for (const auto& file : backup.manifest->files) {
            const auto from = root / file.path, to = directory / file.path;
            if (auto made = make_folders(disk, directory, to.parent_path()); !made) return made;
            if (never_changes(file.path) && link_file(disk, from, to)) continue;
            auto copied = copy_file(disk, from, to, file.size, [](std::uint64_t) { return true; });
            if (copied) continue;
            const bool damaged = copied.error().code() == Errc::not_found || copied.error().code() == Errc::corrupt;
            return fail(damaged ? Errc::corrupt : copied.error().code(),
                        fmt::format("{}: {}", file.path, copied.error().detail()));
        }
        return {};
    };
    if (auto done = lay_out(); !done) {
        (void)remove_tree(disk, directory);
        return pass_on(done);
    }
    return directory;
}

}  // namespace poplar::engine::local
