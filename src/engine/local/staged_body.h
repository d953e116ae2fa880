#pragma once
// Bodies on their way in: frames in memory while they are small, a file of their own past Options::large_body.
//
// One that several bodies are going to end with is stored once, as a body of kSharedBodies: by the committer, together
// with the first that ends with it. A file gets the name of that body here, as soon as all of it is there.
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/local/disk_pool.h"
#include "engine/local/file.h"
#include "engine/local/store_directory.h"

namespace poplar::engine::local {

/// Shared bodies that were stored, and that nobody can deliver any more.
class ReleasedBodies {
public:
    void add(BodyId shared);
    /// Those since the last call.
    std::vector<BodyId> take();

private:
    std::mutex mutex_;
    std::vector<BodyId> bodies_;
};

/// Shared by all incoming bodies.
struct Staging {
    StoreDirectory& directory;
    DiskPool& pool;
    std::atomic<std::uint64_t>& next_body;
    std::uint64_t large_body;      ///< octets a body may have in memory
    std::uint64_t memory_budget;   ///< octets all of them may have; past it small bodies go to files too
    std::uint64_t min_free_space;  ///< octets of the disk that files of bodies leave free
    std::atomic<std::uint64_t> in_memory = 0;
    ReleasedBodies released = {};
};

class LocalStagedBody final : public StagedBody, public std::enable_shared_from_this<LocalStagedBody> {
public:
    explicit LocalStagedBody(Staging& staging) : staging_(staging) {}
    ~LocalStagedBody() override;
    std::uint64_t size() const override { return size_; }
    std::unique_ptr<BodyReader> read() const override;

    bool in_file() const { return file_octets_ > 0; }
    const std::vector<std::string>& frames() const { return frames_; }  ///< empty when in a file
    std::uint64_t frame_octets() const { return frame_octets_; }
    std::uint64_t file_octets() const { return file_octets_; }
    const std::filesystem::path& path() const { return path_; }

    /// The body of kSharedBodies that it is going to be; 0: each body that ends with it has octets of its own.
    BodyId shared() const { return shared_; }
    // For the committer, on its thread. `perhaps` is for after a failed sync: only the next start tells.
    enum class Stored { no, perhaps, yes };
    Stored stored() const { return stored_; }
    void set_stored(Stored stored) const { stored_ = stored; }

private:
    friend class LocalBodyWriter;
    Staging& staging_;
    std::uint64_t size_ = 0;
    std::vector<std::string> frames_;
    std::uint64_t frame_octets_ = 0;
    std::filesystem::path path_;
    std::uint64_t file_octets_ = 0;
    BodyId shared_;
    mutable std::atomic<Stored> stored_ = Stored::no;
};

class LocalBodyWriter final : public BodyWriter {
public:
    LocalBodyWriter(Staging& staging, std::uint64_t size_hint);
    std::span<char> room() override;
    Task<Result<>> write(std::string_view bytes) override;
    Task<Result<std::shared_ptr<const StagedBody>>> finish(std::size_t bodies = 1) override;

private:
    Result<> make_durable();
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
