#include "engine/local/shared_bodies.h"

namespace poplar::engine::local {

void SharedBodies::add(PartitionId partition, const RecordMeta::Body& body) {
    if (body.shared != BodyId()) changes_[body.shared].references[{partition, body.id}] = true;
    if (partition == kSharedBodies) changes_[body.id].held = true;
}

void SharedBodies::erase(rocksdb::WriteBatch& batch, PartitionId partition, BodyId id, const BodyPlace& place) {
    if (place.shared == BodyId()) return;
    Index::stage_unreferenced(batch, place.shared, partition, id);
    auto& changes = changes_[place.shared];
    changes.references[{partition, id}] = false;
    changes.lost = true;
}

void SharedBodies::release(rocksdb::WriteBatch& batch, BodyId shared) {
    Index::stage_released(batch, shared);
    auto& changes = changes_[shared];
    changes.held = false;
    changes.lost = true;
}

Result<bool> SharedBodies::is_wanted(BodyId shared, const Changes& changes) const {
    for (const auto& [whose, there] : changes.references)
        if (there) return true;
    if (changes.held) {
        if (*changes.held) return true;
    } else {
        auto held = index_.is_held(shared);
        if (!held || *held) return held;
    }
    bool wanted = false;
    auto each = [&](PartitionId partition, BodyId id) {
        wanted = !changes.references.contains({partition, id});
        return !wanted;
    };
    if (auto done = index_.for_each_reference(shared, each); !done) return pass_on(done);
    return wanted;
}

Result<std::vector<SharedBodies::Gone>> SharedBodies::settle(rocksdb::WriteBatch& batch) {
    std::vector<Gone> gone;
    for (const auto& [shared, changes] : changes_) {
        if (!changes.lost) continue;
        auto wanted = is_wanted(shared, changes);
        if (!wanted) return pass_on(wanted);
        if (*wanted) continue;
        auto place = index_.place(kSharedBodies, shared);
        if (!place && place.error().code() == Errc::not_found) continue;
        if (!place) return pass_on(place);
        Index::stage_gone(batch, kSharedBodies, shared);
        gone.push_back({shared, *place});
    }
    changes_.clear();
    return gone;
}

Result<> release_all(const Index& index, SegmentTable& table, rocksdb::WriteBatch& batch) {
    SharedBodies bodies(index);
    auto held = index.held_bodies();
    if (!held) return pass_on(held);
    for (auto shared : *held) bodies.release(batch, shared);
    auto gone = bodies.settle(batch);
    if (!gone) return pass_on(gone);
    for (const auto& one : *gone) table.erase_body(one.place);
    return {};
}

}  // namespace poplar::engine::local
