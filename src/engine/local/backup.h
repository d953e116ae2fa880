#pragma once
// Makes a backup of a store that is served. docs/reference/storage-format.md, "Backups", has what lies in one.
//
// The index is copied as it is at one moment (a flush, then links to its tables), and says up to where it knows the
// log. The log up to there is the backup's: segments before that place never change, the last one is copied as far as
// it counts. While names are gathered, no segment is copied or unlinked and no body's space is given back.
#include <filesystem>
#include <functional>
#include <optional>
#include <set>

#include "engine/inspection.h"
#include "engine/local/backup_folder.h"
#include "engine/local/copier.h"
#include "engine/local/reclaims.h"

namespace poplar::engine::local {

class Backup {
public:
    using Progress = std::function<bool(const BackupTotals&)>;

    Backup(const Options& options, StoreDirectory& directory, const Index& index, Copier& copier, Reclaims& reclaims,
           DiskPool& pool, std::filesystem::path folder);

    /// Inspection::backup.
    Result<BackupOutcome> make(std::size_t keep, const Progress& progress);

    /// Removes from the data directory what an interrupted backup left there.
    static Result<> sweep(const StoreDirectory& directory);

private:
    enum class Share { no, yes };
    struct Pending {
        std::size_t file;  // of manifest_
        std::filesystem::path path;
    };
    Result<> check_folder();
    Result<> gather(const Progress& progress);
    Result<> add_log(const Position& position);
    Result<> add_folder(const std::filesystem::path& below, const std::filesystem::path& as, Share share);
    Result<> add(const std::filesystem::path& from, std::string as, std::optional<std::uint64_t> size, Share share);
    Result<> finish(const Progress& progress);
    std::uint64_t forget_old(std::size_t keep);
    bool go_on() { return (*progress_)(totals_); }

    const Options& options_;
    StoreDirectory& directory_;
    const Index& index_;
    Copier& copier_;
    Reclaims& reclaims_;
    DiskPool& pool_;
    Disk& disk_;
    const std::filesystem::path folder_;

    std::string name_;
    std::filesystem::path draft_;
    std::optional<ListedBackup> previous_;
    Timestamp newest_{};  // when the last of the folder's backups was taken
    bool one_file_system_ = false;
    BackupManifest manifest_;
    std::vector<Pending> pending_;  // files that are there, with no digest yet
    std::set<std::filesystem::path> folders_;
    BackupTotals totals_;
    const Progress* progress_ = nullptr;
};

}  // namespace poplar::engine::local
