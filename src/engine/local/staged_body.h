#pragma once
// Bodies on their way in: frames in memory while they are small, a file of their own past Options::large_body.
#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "base/blocking_pool.h"
#include "engine/engine.h"
#include "engine/local/file.h"
#include "engine/local/store_directory.h"

namespace poplar::engine::local {

/// What incoming bodies share.
struct Staging {
    StoreDirectory& directory;
    BlockingPool& pool;
    std::atomic<std::uint64_t>& next_body;
    std::uint64_t large_body;      ///< octets a body may have in memory
    std::uint64_t memory_budget;   ///< octets all of them may have; past it small bodies go to files too
    std::uint64_t min_free_space;  ///< octets of the disk that files of bodies leave free
    std::atomic<std::uint64_t> in_memory = 0;
};

class LocalStagedBody final : public StagedBody {
public:
    explicit LocalStagedBody(Staging& staging) : staging_(staging) {}
    ~LocalStagedBody() override;
    std::uint64_t size() const override { return size_; }

    bool in_file() const { return file_octets_ > 0; }
    const std::vector<std::string>& frames() const { return frames_; }  ///< empty when in a file
    std::uint64_t frame_octets() const { return frame_octets_; }
    std::uint64_t file_octets() const { return file_octets_; }
    const std::filesystem::path& path() const { return path_; }

private:
    friend class LocalBodyWriter;
    Staging& staging_;
    std::uint64_t size_ = 0;
    std::vector<std::string> frames_;
    std::uint64_t frame_octets_ = 0;
    std::filesystem::path path_;
    std::uint64_t file_octets_ = 0;
};

class LocalBodyWriter final : public BodyWriter {
public:
    LocalBodyWriter(Staging& staging, std::uint64_t size_hint);
    std::span<char> room() override;
    Task<Result<>> write(std::string_view bytes) override;
    Task<Result<std::shared_ptr<const StagedBody>>> finish() override;

private:
    void make_room(std::size_t wanted);
    void seal_current();
    bool must_spill() const;
    Task<Result<>> spill();

    Staging& staging_;
    std::shared_ptr<LocalStagedBody> body_;
    std::string current_;     // the frame being filled, its header still blank; or empty
    std::size_t filled_ = 0;  // how much of it
    std::size_t expected_;    // octets of the next frame
    std::optional<File> file_;
};

}  // namespace poplar::engine::local
