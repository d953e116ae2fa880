#pragma once
// Copying, sharing and reading the files that backups are made of.
#include <filesystem>
#include <functional>
#include <string>

#include "engine/local/file.h"

namespace poplar::engine::local {

/// Called with each part of a file that was read or written; false gives it up.
using BackupPace = std::function<bool(std::uint64_t octets)>;

/// Copies a file's first `size` octets to a new file and syncs that, not its name; blocks of zeros become holes.
/// Returns the digest of what was read. Errors: no_space, io, corrupt (the file is shorter), cancelled.
Result<std::string> copy_file(Disk& disk, const std::filesystem::path& from, const std::filesystem::path& to,
                              std::uint64_t size, const BackupPace& pace);

/// The digest of a whole file. Errors: not_found, io, cancelled.
Result<std::string> digest_file(Disk& disk, const std::filesystem::path& path, const BackupPace& pace);

/// Whether two names are the same file of one file system.
bool same_file(Disk& disk, const std::filesystem::path& one, const std::filesystem::path& other);

/// Whether two files are of one size, and alike in their first and last 4 KB. For files that never change but for holes
/// in them, and whose ends tell them apart.
bool same_ends(Disk& disk, const std::filesystem::path& one, const std::filesystem::path& other);

/// Makes the folder and those between it and `root`, which is there.
Result<> make_folders(Disk& disk, const std::filesystem::path& root, const std::filesystem::path& folder);

Result<std::string> read_text(Disk& disk, const std::filesystem::path& path);
/// Writes a new file and syncs it, not its name.
Result<> write_text(Disk& disk, const std::filesystem::path& path, std::string_view text);

}  // namespace poplar::engine::local
