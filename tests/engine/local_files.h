#pragma once
// A local engine over real files, and what tests do to them: they read, damage, copy and verify.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/local/local_engine.h"
#include "tests/engine/direct.h"
#include "tests/engine/local_store.h"

namespace poplar::test {

using engine::local::Damage;
using engine::local::LocalEngine;
using engine::local::Options;

inline Options options_in(const std::filesystem::path& directory) {
    Options options;
    options.directory = directory;
    options.segment_size = 1 << 20;  // small, so that tests cross segments
    options.min_free_space = 0;
    options.reserved_space = 1 << 20;
    options.write_buffer = 1 << 20;
    return options;
}

inline std::unique_ptr<LocalEngine> open_in(const std::filesystem::path& directory) {
    auto engine = LocalEngine::open(options_in(directory));
    EXPECT_TRUE(engine.has_value()) << engine.error().detail();
    return engine ? std::move(*engine) : nullptr;
}

inline void write_file(const fs::path& path, std::string_view bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

inline void flip_octet(const fs::path& path, std::uint64_t offset) {
    auto bytes = read_whole(path);
    ASSERT_LT(offset, bytes.size());
    bytes[offset] = static_cast<char>(bytes[offset] ^ 0x40);
    write_file(path, bytes);
}

inline fs::path segment(const fs::path& root, int number) { return root / fmt::format("log/0/{:010}.seg", number); }

// The directory as a crash would leave it: a copy made while the engine runs, after its last commit was answered.
inline void copy_store(const fs::path& from, const fs::path& to) {
    fs::remove_all(to);
    fs::copy(from, to, fs::copy_options::recursive);
}

inline std::vector<Damage> verify(LocalEngine& engine) {
    std::vector<Damage> found;
    auto totals = engine.verify([&](const Damage& damage) { found.push_back(damage); });
    EXPECT_TRUE(totals.has_value());
    if (totals) EXPECT_EQ(totals->damaged, found.size());
    for (const auto& one : found) fmt::print("found: {} at {}: {}\n", one.file, one.offset, one.what);
    return found;
}

constexpr PartitionId kAccount{7};

}  // namespace poplar::test
