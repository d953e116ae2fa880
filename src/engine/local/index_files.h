#pragma once
// The files that RocksDB keeps the index in, checked octet by octet: it reads some of them only when it starts, and
// some never.
#include <rocksdb/db.h>

#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "engine/local/local_engine.h"

namespace poplar::engine::local {

class IndexFiles {
public:
    using Pace = std::function<bool(std::uint64_t octets)>;

    /// `stored`: what sums() was when the index was open the last time; "" if that is not known.
    IndexFiles(rocksdb::DB& db, std::filesystem::path directory, std::string_view stored);

    /// Damage, found at this start, to files that are written once at a start and read at the next one at most.
    const std::vector<Damage>& found_at_start() const { return found_; }
    std::string sums() const;  ///< to be stored

    /// Errors: io, cancelled (`pace` said so).
    Result<std::vector<Damage>> check(const Pace& pace) const;

private:
    using Sums = std::map<std::string, std::uint32_t>;
    Sums sums_now() const;
    Result<std::optional<Damage>> check_table(const std::string& name, const std::string& stored_sum,
                                              const Pace& pace) const;
    Damage damaged(const std::string& name, std::uint64_t offset, std::string what) const {
        return {"index/" + name, offset, {}, {}, std::move(what)};
    }
    Damage failed(const std::string& name, const rocksdb::Status& status) const;

    rocksdb::DB& db_;
    std::filesystem::path directory_;
    Sums sums_;
    std::vector<Damage> found_;
};

/// Where a file in the format of RocksDB's logs (MANIFEST is one) is damaged; nullopt: it is not.
std::optional<std::uint64_t> damage_in_log(std::string_view bytes);

/// Says what is wrong with CURRENT, the file that names an index's MANIFEST; nullopt: nothing, or it can't be read.
std::optional<std::string> damage_in_current(rocksdb::Env& env, const std::filesystem::path& directory);

/// The end of an index's MANIFEST as a power cut may have left it: RocksDB takes what is torn there for damage and
/// opens nothing. With the end cut off the index is an older one, if that one's files are still there; the log has what
/// it lacks.
class TornManifest {
public:
    TornManifest(rocksdb::Env& env, const std::filesystem::path& directory);
    bool cut();       ///< whether there was something to be cut off, and it is
    void put_back();  ///< undoes cut(), which did not help

private:
    bool replace(const std::string& bytes);
    rocksdb::Env& env_;
    std::filesystem::path path_;
    std::string bytes_;
};

}  // namespace poplar::engine::local
