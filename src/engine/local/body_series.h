#pragma once
#include <vector>

#include "engine/local/body_reader.h"
#include "engine/local/index.h"

namespace poplar::engine::local {

/// Looks one place up at first, then with one scan of the index those of ever more bodies ahead. The last body's
/// segment stays open until release_files(), so that a caller that only waits holds neither a descriptor nor the space
/// of a segment that was copied.
class LocalBodySeries final : public BodySeries {
public:
    LocalBodySeries(StoreDirectory& directory, const Index& index, DiskPool& pool, ReadMemory& memory,
                    PartitionId partition)
        : directory_(directory), index_(index), pool_(pool), memory_(memory), partition_(partition) {}
    Task<Result<std::unique_ptr<BodyReader>>> open(BodyId id) override;
    std::unique_ptr<BodyReader> try_open_whole(BodyId id) override;
    void release_files() override { segment_.reset(); }

private:
    const BodyPlace* known(BodyId id);
    void keep(std::vector<Index::Placed> places);
    bool goes_on(BodyId id) const { return last_ != BodyId() && last_ < id; }
    const BodyPlace* try_look_up(BodyId id);
    Task<Result<BodyPlace>> look_up(BodyId id);
    Task<Result<BodyPlace>> look_up_anew(BodyId id);
    std::shared_ptr<const File> open_segment(SegmentId id);
    Task<Result<SharedPart>> open_shared(BodyId id, BodyId shared);

    StoreDirectory& directory_;
    const Index& index_;
    DiskPool& pool_;
    ReadMemory& memory_;
    PartitionId partition_;

    std::vector<Index::Placed> ahead_;  // bodies that follow the last one, by id
    std::size_t next_ = 0;              // in ahead_; those before it will not be asked for
    std::size_t window_ = 1;            // how many to look up together next time
    BodyId last_;
    SegmentId segment_id_{};
    std::shared_ptr<const File> segment_;
};

}  // namespace poplar::engine::local
