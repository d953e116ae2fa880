// Counts octets and bodies a segment, and hands the rows that changed to the batch that changed them.
#include "engine/local/segment_table.h"

#include <algorithm>

#include "base/encoding.h"
#include "engine/local/index.h"

namespace poplar::engine::local {

namespace {

// Large files are counted under a number that no segment has.
constexpr SegmentId kLarge{0, 0};

void subtract(std::uint64_t& from, std::uint64_t octets) { from -= std::min(from, octets); }

}  // namespace

std::uint64_t SegmentSpace::about_live() const {
    // How much counts of metadata without bodies (accounts, deletions), only a look at it tells: half is a reason to
    // look.
    auto meta = bodies == 0
                    ? meta_octets / 2
                    : static_cast<std::uint64_t>(static_cast<double>(meta_octets) *
                                                 (static_cast<double>(live_bodies) / static_cast<double>(bodies)));
    return kSegmentHeader + live_octets + meta;
}

std::string encode_space(const SegmentSpace& space) {
    Encoder out;
    out.varint(space.last).varint(space.as_of).varint(space.meta_octets);
    out.varint(space.bodies).varint(space.live_bodies).varint(space.live_octets);
    return std::move(out).bytes();
}

Result<SegmentSpace> decode_space(std::string_view bytes) {
    Decoder in(bytes);
    SegmentSpace space;
    space.last = in.varint();
    space.as_of = in.varint();
    space.meta_octets = in.varint();
    space.bodies = in.varint();
    space.live_bodies = in.varint();
    space.live_octets = in.varint();
    if (!in.ok() || !in.at_end()) return fail(Errc::corrupt, "index: what a segment holds can't be read");
    return space;
}

Result<> SegmentTable::load(const Index& index) {
    auto stored = index.segment_spaces();
    if (!stored) return pass_on(stored);
    std::lock_guard guard(mutex_);
    rows_.clear();
    changed_.clear();
    large_octets_ = 0;
    for (const auto& [id, space] : *stored) {
        if (id == kLarge)
            large_octets_ = space.live_octets;
        else
            rows_[id] = space;
    }
    return {};
}

Result<> SegmentTable::recount(const Index& index) {
    std::map<SegmentId, SegmentSpace> counted;
    std::uint64_t large = 0;
    auto each = [&](PartitionId, BodyId, const BodyPlace& place) {
        large += place.file_octets;
        if (place.inline_octets == 0) return true;
        auto& space = counted[place.segment];
        ++space.bodies;
        ++space.live_bodies;
        space.live_octets += place.inline_octets;
        return true;
    };
    if (auto done = index.for_each_body(each); !done) return done;
    std::lock_guard guard(mutex_);
    for (auto& [id, space] : counted) {
        space.last = id.number;
        rows_[id] = space;
        changed_.insert(id);
    }
    large_octets_ = large;
    large_changed_ = true;
    return {};
}

// The row of `id`, to be stored with the next batch.
SegmentSpace& SegmentTable::change(SegmentId id) {
    changed_.insert(id);
    auto [it, fresh] = rows_.try_emplace(id);
    if (fresh) it->second.last = id.number;
    return it->second;
}

void SegmentTable::add_segment(SegmentId id, std::uint64_t last, std::uint64_t as_of) {
    std::lock_guard guard(mutex_);
    auto& row = change(id);
    row.last = std::max(last, id.number);
    row.as_of = as_of;
}

void SegmentTable::remove_segment(SegmentId id) {
    std::lock_guard guard(mutex_);
    if (rows_.erase(id) > 0) changed_.insert(id);
}

void SegmentTable::add_record(SegmentId id, std::uint64_t meta_octets) {
    std::lock_guard guard(mutex_);
    change(id).meta_octets += meta_octets;
}

void SegmentTable::add_body(const BodyPlace& place) {
    std::lock_guard guard(mutex_);
    if (place.file_octets > 0) {
        large_octets_ += place.file_octets;
        large_changed_ = true;
    }
    if (place.inline_octets == 0) return;
    auto& row = change(place.segment);
    ++row.bodies;
    ++row.live_bodies;
    row.live_octets += place.inline_octets;
}

void SegmentTable::erase_body(const BodyPlace& place) {
    std::lock_guard guard(mutex_);
    if (place.file_octets > 0) {
        subtract(large_octets_, place.file_octets);
        large_changed_ = true;
    }
    if (place.inline_octets == 0) return;
    auto& row = change(place.segment);
    subtract(row.live_bodies, 1);
    subtract(row.live_octets, place.inline_octets);
}

void SegmentTable::move_body(const BodyPlace& from, const BodyPlace& to) {
    if (from.inline_octets == 0) return;
    std::lock_guard guard(mutex_);
    auto& before = change(from.segment);
    subtract(before.live_bodies, 1);
    subtract(before.live_octets, from.inline_octets);
    auto& after = change(to.segment);
    ++after.live_bodies;
    after.live_octets += to.inline_octets;
}

void SegmentTable::add_copy(SegmentId id, std::uint64_t meta_octets, std::uint64_t bodies) {
    std::lock_guard guard(mutex_);
    auto& row = change(id);
    row.meta_octets = meta_octets;
    row.bodies = bodies;
}

void SegmentTable::stage(rocksdb::WriteBatch& batch) {
    std::lock_guard guard(mutex_);
    for (auto id : changed_) {
        auto it = rows_.find(id);
        if (it == rows_.end())
            Index::stage_space(batch, id, nullptr);
        else
            Index::stage_space(batch, id, &it->second);
    }
    changed_.clear();
    if (!large_changed_) return;
    SegmentSpace large;
    large.live_octets = large_octets_;
    Index::stage_space(batch, kLarge, large_octets_ > 0 ? &large : nullptr);
    large_changed_ = false;
}

std::vector<SegmentTable::Row> SegmentTable::rows() const {
    std::lock_guard guard(mutex_);
    std::vector<Row> rows;
    rows.reserve(rows_.size());
    for (const auto& [id, space] : rows_) rows.push_back({id, space});
    return rows;
}

std::uint64_t SegmentTable::large_octets() const {
    std::lock_guard guard(mutex_);
    return large_octets_;
}

std::optional<SegmentSpace> SegmentTable::find(SegmentId id) const {
    std::lock_guard guard(mutex_);
    auto it = rows_.find(id);
    return it == rows_.end() ? std::nullopt : std::optional(it->second);
}

}  // namespace poplar::engine::local
