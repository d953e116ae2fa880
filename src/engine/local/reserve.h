#pragma once
#include <atomic>
#include <filesystem>
#include <mutex>

#include "engine/local/disk.h"

namespace poplar::engine::local {

/// Disk space kept in a file of its own for when somebody else has taken all the rest: it is given up so that a start,
/// a deletion and the index find room, and taken again when there is plenty.
class Reserve {
public:
    Reserve(Disk& disk, std::filesystem::path path, std::uint64_t octets)
        : disk_(disk), path_(std::move(path)), octets_(octets), missing_(octets) {}

    void take();     ///< if it is not there, and the disk has more than twice as much
    bool give_up();  ///< true if there is more room now
    /// Octets that should be kept, and are not: free space that new mail must leave alone.
    std::uint64_t missing() const { return missing_; }

private:
    Disk& disk_;
    const std::filesystem::path path_;
    const std::uint64_t octets_;
    std::mutex mutex_;
    std::atomic<std::uint64_t> missing_;
};

}  // namespace poplar::engine::local
