#pragma once
// The text of a backup's MANIFEST: when it was taken, and each of its files with size and digest.
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "engine/local/record.h"

namespace poplar::engine::local {

struct BackupFile {
    std::string path;  ///< below the data directory
    std::uint64_t size = 0;
    std::string digest;  ///< SHA-256, in hexadecimal digits
    bool operator==(const BackupFile&) const = default;
};

struct BackupManifest {
    static constexpr int kNewest = 1;
    Timestamp taken{};
    RecordMark mark;
    std::vector<BackupFile> files;  ///< by path, each once

    std::uint64_t octets() const;
    const BackupFile* find(std::string_view path) const;  ///< null: it has no such file
};

std::string encode_manifest(const BackupManifest& manifest);

/// Any octets are allowed. Errors: invalid (a newer version), corrupt (damaged, or no manifest of ours; a path that
/// would lead out of the folder is damage).
Result<BackupManifest> parse_manifest(std::string_view text);

}  // namespace poplar::engine::local
