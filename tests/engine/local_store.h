#pragma once
// A local engine's data directory in tests: opened with small segments, copied as a crash would leave it, damaged, and
// its index read key by key.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "base/encoding.h"
#include "engine/local/disk.h"
#include "engine/local/local_engine.h"

namespace poplar::test {

namespace fs = std::filesystem;

inline engine::local::Options small_options(const fs::path& directory, std::uint64_t segment_size = 256 << 10) {
    engine::local::Options options;
    options.directory = directory;
    options.segment_size = segment_size;
    options.min_free_space = 0;
    options.write_buffer = 1 << 20;
    options.copy_rate = 0;  // only when a test says so, as the next
    options.scrub_every = std::chrono::seconds(0);
    return options;
}

inline std::unique_ptr<engine::local::LocalEngine> open_store(const engine::local::Options& options) {
    auto engine = engine::local::LocalEngine::open(options);
    EXPECT_TRUE(engine.has_value()) << engine.error().detail();
    return engine ? std::move(*engine) : nullptr;
}

/// The directory as a crash would leave it now. Nobody may be committing; what the index does by itself is waited for.
inline void copy_directory(const fs::path& from, const fs::path& to) {
    auto files = [&] {
        std::map<std::string, std::pair<std::uintmax_t, fs::file_time_type>> found;
        std::error_code gone;
        for (const auto& file : fs::recursive_directory_iterator(from))
            if (file.is_regular_file(gone)) found[file.path()] = {file.file_size(gone), file.last_write_time(gone)};
        return found;
    };
    for (auto before = files(), after = decltype(before){}; before != after; before = files()) {
        std::error_code gone;
        fs::remove_all(to);
        fs::copy(from, to, fs::copy_options::recursive, gone);
        after = files();
        if (!gone && before == after) return;
    }
}

inline std::string read_whole(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// The content of a closed store's index, but for where bodies lie: an index made anew must have the same.
inline std::map<std::string, std::string> dump_index(const fs::path& store) {
    std::map<std::string, std::string> entries;
    rocksdb::DB* opened = nullptr;
    auto status = rocksdb::DB::OpenForReadOnly(rocksdb::Options(), (store / "index").string(), &opened);
    EXPECT_TRUE(status.ok()) << status.ToString();
    if (!status.ok()) return entries;
    std::unique_ptr<rocksdb::DB> db(opened);
    rocksdb::ReadOptions options;
    options.total_order_seek = true;
    std::unique_ptr<rocksdb::Iterator> it(db->NewIterator(options));
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
        auto key = it->key().ToString();
        bool own = key.starts_with(std::string(8, '\0'));
        if (own && key[8] != 3) continue;  // the log's position, sums of files
        entries[key] = it->value().ToString();
    }
    return entries;
}

inline std::uint64_t log_disk_octets(const fs::path& store) {
    std::uint64_t octets = 0;
    for (const auto& file : fs::directory_iterator(store / "log/0"))
        octets += engine::local::Disk::system().disk_octets(file.path().c_str());
    return octets;
}

}  // namespace poplar::test
