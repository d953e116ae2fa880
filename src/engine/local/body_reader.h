#pragma once
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/local/disk_pool.h"
#include "engine/local/frame.h"
#include "engine/local/index.h"
#include "engine/local/local_engine.h"
#include "engine/local/store_directory.h"

namespace poplar::engine::local {

/// Bounds the memory, of all readers together, for bodies that are read once and sent from there. A body that finds no
/// room is read twice: to check it, and to send it.
struct ReadMemory {
    std::uint64_t budget;  ///< octets
    std::atomic<std::uint64_t> in_use = 0;
};

/// Where the shared body lies that a body ends with.
struct SharedPart {
    BodyPlace place;  ///< without octets: there is no shared body
    std::shared_ptr<const File> segment;
};

/// Reads a body's inline frames, then its file's, or those of the shared body. Reads from the page cache happen on the
/// caller's thread, others on the pool. A body that is erased while it is read loses its octets: that is not_found, no
/// damage.
class LocalBodyReader final : public BodyReader {
public:
    /// `segment`: the one of `place`, open; null: it is opened when it is needed.
    LocalBodyReader(StoreDirectory& directory, const Index& index, DiskPool& pool, ReadMemory& memory,
                    PartitionId partition, BodyId id, BodyPlace place, std::shared_ptr<const File> segment,
                    SharedPart shared)
        : directory_(directory),
          index_(index),
          pool_(pool),
          memory_(memory),
          partition_(partition),
          id_(id),
          place_(place),
          segment_(std::move(segment)),
          shared_(std::move(shared)) {
        rewind();
    }
    ~LocalBodyReader() override;
    std::uint64_t size() const override { return place_.size; }
    Task<Result<std::string_view>> next() override;
    Task<Result<>> verify() override;
    /// verify() for a body of at most 64 KB, all of it in segments and in the page cache. False: it is not so, or
    /// damaged.
    bool try_verify();
    std::span<const std::string_view> whole() const override { return whole_; }

private:
    enum class Part { inline_frames, file, shared_frames, shared_file, end };
    std::uint64_t octets_of(Part part) const;
    std::uint64_t octets() const;
    Part first_from(Part part) const;
    static Part next_of(Part part) { return part == Part::end ? part : static_cast<Part>(static_cast<int>(part) + 1); }
    Part following() const { return first_from(next_of(part_)); }
    void enter(Part part);
    void rewind();
    bool hold(std::uint64_t octets);
    void extend_buffer(std::size_t octets);
    Task<Result<>> fill(std::size_t most);
    Result<std::shared_ptr<const File>> open_part() const;
    Task<std::unexpected<Error>> failure(Error error);

    StoreDirectory& directory_;
    const Index& index_;
    DiskPool& pool_;
    ReadMemory& memory_;
    PartitionId partition_;
    BodyId id_;
    BodyPlace place_;
    std::shared_ptr<const File> segment_;
    SharedPart shared_;

    Part part_ = Part::inline_frames;
    std::shared_ptr<const File> file_;     // of the part being read; opened when first needed
    std::uint64_t offset_ = 0, left_ = 0;  // of the part, not yet in the buffer
    std::string buffer_;
    std::size_t used_ = 0;    // octets of the buffer given out
    std::uint64_t held_ = 0;  // octets of memory_ that the buffer counts for
    Frames whole_;            // the frames' data, if the buffer holds all of them and they are right
};

/// Reads a whole body on the calling thread, for verify. Answers with the first damaged place. Of a shared body that it
/// ends with, it checks only that it is there.
std::optional<Damage> check_body(const StoreDirectory& directory, const Index& index, PartitionId partition, BodyId id,
                                 const BodyPlace& place);

}  // namespace poplar::engine::local
