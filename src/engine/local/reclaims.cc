#include "engine/local/reclaims.h"

#include "engine/local/file.h"

namespace poplar::engine::local {

void Reclaims::free(DiskPool& pool, PartitionId partition, BodyId id, const BodyPlace& place) {
    auto work = [this, freed = Freed{partition, id, place}] { give_back(freed); };
    pool.post(std::move(work));
}

void Reclaims::give_back(const Freed& freed) {
    std::shared_lock open(gate_);
    const auto& place = freed.place;
    if (held_) {
        if (place.file_octets == 0) return;
        std::lock_guard guard(mutex_);
        waiting_.push_back(freed);
        return;
    }
    auto& disk = directory_.disk();
    if (place.file_octets > 0) {
        (void)unlink_file(disk, directory_.large_body(freed.partition, freed.id));
        disk.reached(Step::body_unlinked);
    }
    if (place.inline_octets < 4096) return;
    // A backup shares a segment that has two names. The copying of segments gives its dead octets back.
    if (auto file = File::open(disk, directory_.segment(place.segment), File::Mode::read_write))
        if (auto links = file->links(); links && *links == 1) (void)file->punch(place.offset, place.inline_octets);
    disk.reached(Step::hole_punched);
}

Reclaims::Hold::Hold(Reclaims& reclaims, DiskPool& pool) : reclaims_(reclaims), pool_(pool) {
    std::unique_lock alone(reclaims_.gate_);
    reclaims_.held_ = true;
}

Reclaims::Hold::~Hold() {
    std::vector<Freed> waiting;
    {
        std::unique_lock alone(reclaims_.gate_);
        reclaims_.held_ = false;
        waiting.swap(reclaims_.waiting_);
    }
    for (const auto& freed : waiting) reclaims_.free(pool_, freed.partition, freed.id, freed.place);
}

}  // namespace poplar::engine::local
