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

    /// Damage to files that are written once at a start and read at most at the next, found at this one.
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

    rocksdb::DB& db_;
    std::filesystem::path directory_;
    Sums sums_;
    std::vector<Damage> found_;
};

/// Where a file in the format of RocksDB's logs (MANIFEST is one) is damaged; nullopt: it is not.
std::optional<std::uint64_t> damage_in_log(std::string_view bytes);

}  // namespace poplar::engine::local
