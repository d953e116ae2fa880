#pragma once
// A folder of backups: which there are, whether they are whole, and putting one back.
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/inspection.h"
#include "engine/local/backup_manifest.h"
#include "engine/local/file.h"

namespace poplar::engine::local {

inline constexpr char kBackupManifest[] = "MANIFEST";
inline constexpr char kBackupData[] = "data";  ///< what is a data directory once it is copied

struct ListedBackup {
    std::string name;                        ///< of its folder: "20261122T030509.123Z", the time when it was taken
    std::optional<BackupManifest> manifest;  ///< nothing: it can't be read
    std::string wrong;                       ///< why not
};

/// Oldest first. Errors: not_found (no such folder), io.
Result<std::vector<ListedBackup>> list_backups(Disk& disk, const std::filesystem::path& folder);

/// The backup of this name; without a name the latest that was taken at `at` or before. Errors: not_found, corrupt.
Result<ListedBackup> find_backup(Disk& disk, const std::filesystem::path& folder, std::optional<Timestamp> at);

struct BackupDamage {
    std::string file;  ///< below the data directory
    std::string what;
};

/// Reads a backup and holds it against its manifest. Errors: io, cancelled.
Result<BackupTotals> verify_backup(Disk& disk, const std::filesystem::path& folder, const ListedBackup& backup,
                                   const std::function<void(const BackupDamage&)>& report,
                                   const std::function<bool(const BackupTotals&)>& progress);

/// A restore puts the earlier content of a data directory into a folder with a name that begins so.
inline constexpr char kReplaced[] = "replaced-";
/// Whether a restore leaves what has this name in the data directory alone.
bool stays_at_restore(std::string_view name);
/// The data directory's LOCK, made if it is not there. Errors: busy (a server uses it).
Result<File> lock_store(Disk& disk, const std::filesystem::path& directory);

enum class Damaged { refuse, restore };  ///< what to do with a backup that is damaged

/// Copies a backup to `directory`, which is made if it is not there, and has nothing but what stays_at_restore(). It is
/// a data directory only when all is there and durable. A damaged file is reported, and the whole given up, unless
/// `damaged` says otherwise. Errors: exists (something is there), corrupt (damage was found; nothing is left behind),
/// no_space, io, cancelled.
Result<BackupTotals> restore_backup(Disk& disk, const std::filesystem::path& folder, const ListedBackup& backup,
                                    const std::filesystem::path& directory, Damaged damaged,
                                    const std::function<void(const BackupDamage&)>& report,
                                    const std::function<bool(const BackupTotals&)>& progress);

/// Makes a data directory of a backup, to be read and thrown away: draft_of() its name, in the same folder. Files that
/// never change are links (storage-format.md, "Backups"), so it costs next to nothing; they are not held against the
/// manifest. The caller has the lock. Errors: corrupt (one is missing), no_space, io.
Result<std::filesystem::path> lay_out_backup(Disk& disk, const std::filesystem::path& folder,
                                             const ListedBackup& backup);

/// For as long as it lives nobody else makes backups there. Errors: busy.
Result<File> lock_backups(Disk& disk, const std::filesystem::path& folder);

std::string backup_name(Timestamp taken);
/// When a backup of this name was taken; 1970 for what is no such name.
Timestamp taken_of(std::string_view name);
/// The name of a backup until it is whole.
std::filesystem::path draft_of(const std::filesystem::path& folder, const std::string& name);
/// Removes what interrupted backups left. The caller has the lock.
Result<> sweep_drafts(Disk& disk, const std::filesystem::path& folder);
/// Removes a backup; half of one never has its name.
Result<> forget_backup(Disk& disk, const std::filesystem::path& folder, const std::string& name);

}  // namespace poplar::engine::local
