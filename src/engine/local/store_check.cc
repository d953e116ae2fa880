// Walks the log's files and checks each live body where its record stands; sums tell which segments hide a body that no
// record spoke of.
#include "engine/local/store_check.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/local/body_reader.h"

namespace poplar::engine::local {

namespace {

constexpr std::uint64_t kPaceStep = 256u << 10;  // octets read between two calls of Pace
constexpr std::uint64_t kProgressEvery = 1024;   // records

// Sums of these are compared, so that no list of all bodies is needed.
std::uint64_t identity(PartitionId partition, BodyId id, const BodyPlace& place) {
    std::uint64_t mixed = partition.value;
    for (auto part : {id.value, place.segment.number, std::uint64_t{place.segment.pass}, place.offset}) {
        mixed = (mixed ^ part) * 0x9e3779b97f4a7c15ull;
        mixed ^= mixed >> 29;
    }
    return mixed;
}

}  // namespace

Result<> StoreCheck::everything() {
    format();
    for (const auto& row : segments())
        if (auto done = segment(row, 0); !done) return done;
    if (auto done = rest(); !done) return done;
    return index_files();
}

void StoreCheck::damaged(Damage damage) {
    ++totals_.damaged;
    report_(damage);
}

Result<> StoreCheck::pace(std::uint64_t octets) {
    unpaced_ += octets;
    if (unpaced_ < kPaceStep) return {};
    if (!pace_(std::exchange(unpaced_, 0))) return fail(Errc::cancelled, "the check was stopped");
    return {};
}

std::vector<SegmentTable::Row> StoreCheck::segments() {
    auto rows = table_.rows();
    std::vector<SegmentTable::Row> files;
    std::uint64_t expected = 1;
    for (const auto& row : rows) {
        // A copy under way stands beside its sources, which still count.
        bool under_way = row.id.pass > 0 && std::ranges::any_of(rows, [&](const auto& other) {
                             return other.id.pass < row.id.pass && other.id.number >= row.id.number &&
                                    other.id.number <= row.space.last;
                         });
        if (under_way) continue;
        for (; expected < row.id.number; ++expected)
            damaged({directory_.relative(directory_.segment({expected, 0})), 0, {}, {}, "the segment is missing"});
        expected = row.space.last + 1;
        files.push_back(row);
    }
    return files;
}

Result<> StoreCheck::segment(const SegmentTable::Row& row, std::uint64_t offset, std::uint64_t* at) {
    auto name = directory_.relative(directory_.segment(row.id));
    auto end = end_();
    if (row.id.number > end.segment) return {};
    auto file = File::open(directory_.disk(), directory_.segment(row.id), File::Mode::read);
    if (!file && file.error().code() == Errc::not_found) {
        if (table_.find(row.id)) damaged({name, 0, {}, {}, "the segment is missing"});
        return {};
    }
    if (!file) return pass_on(file);
    auto header = directory_.read_header(*file);
    if (!header)
        damaged({name, 0, {}, {}, header.error().detail()});
    else if (header->id != row.id || header->last != row.space.last)
        damaged({name, 0, {}, {}, "the segment's header is of another"});
    auto size = file->size();
    if (!size) return pass_on(size);
    std::uint64_t until = row.id.number == end.segment ? end.offset : *size;
    if (*size < until) damaged({name, *size, {}, {}, "the segment is too short"});
    until = std::min(until, *size);
    bool whole = offset <= kSegmentHeader;
    auto& walked = walked_[row.id];
    walked = {};
    FileSource source(*file);
    SegmentWalk walk(source, directory_.mark(), std::max<std::uint64_t>(offset, kSegmentHeader), until, 1,
                     SegmentWalk::Bodies::skip);
    for (;;) {
        auto step = walk.next();
        if (!step) return pass_on(step);
        if (step->kind != SegmentWalk::Step::Kind::record) {
            if (step->next > step->offset) unreadable(*file, row.id, step->offset, step->next);
            if (step->kind == SegmentWalk::Step::Kind::end) break;
            continue;
        }
        if (++totals_.records % kProgressEvery == 0 && progress_) progress_(totals_);
        if (auto done = bodies_of(row, *step); !done) return done;
        if (at) *at = step->next;
        if (auto done = pace(kRecordHeader + step->header.meta_octets); !done) return done;
    }
    ++totals_.segments;
    if (progress_) progress_(totals_);
    if (!whole) walked_.erase(row.id);
    return {};
}

void StoreCheck::unreadable(const File& file, SegmentId id, std::uint64_t begin, std::uint64_t end) {
    walked_[id].unreadable.emplace_back(begin, end);
    damaged({directory_.relative(file.path()),
             begin,
             {},
             {},
             fmt::format("{} octets can't be read as records", end - begin)});
}

Result<> StoreCheck::bodies_of(const SegmentTable::Row& row, const SegmentWalk::Step& step) {
    auto offset = step.body_offset();
    const auto partition = step.header.partition;
    for (const auto& body : step.meta.bodies) {
        auto place = index_.place(partition, body.id);
        bool here = place && place->segment == row.id && place->offset == offset;
        offset += body.inline_octets;
        if (!place && place.error().code() != Errc::not_found && place.error().code() != Errc::corrupt)
            return pass_on(place);
        if (!here) continue;
        walked_[row.id].met += identity(partition, body.id, *place);
        if (auto checked = this->body(partition, body.id, *place); !checked) return checked;
    }
    return {};
}

Result<> StoreCheck::body(PartitionId partition, BodyId id, const BodyPlace& place) {
    auto damage = check_body(directory_, index_, partition, id, place);
    ++totals_.bodies;
    totals_.octets += place.size;
    if (damage) {
        // It may have been erased or copied, and its space given back, since it was looked up.
        auto now = index_.place(partition, id);
        if (now && *now == place) {
            auto owners = index_.owners(partition, id);
            if (!owners) return pass_on(owners);
            for (auto [whose, body] : *owners) {
                damage->partition = whose;
                damage->body = body;
                damaged(*damage);
            }
        }
    }
    return pace(place.inline_octets + place.file_octets);
}

Result<> StoreCheck::rest() {
    std::map<SegmentId, std::uint64_t> sums;
    auto sum = [&](PartitionId partition, BodyId id, const BodyPlace& place) {
        sums[place.segment] += identity(partition, id, place);
        return true;
    };
    if (auto done = index_.for_each_body(sum); !done) {
        if (done.error().code() != Errc::corrupt) return done;
        return {};  // index_files() says where
    }
    for (const auto& [id, walked] : walked_) sums[id] -= walked.met;
    std::erase_if(sums, [&](const auto& one) { return one.second == 0; });
    // A segment that was not walked from its beginning is left to the next round.
    std::erase_if(sums, [&](const auto& one) { return table_.find(one.first) && !walked_.contains(one.first); });
    if (sums.empty()) return {};
    Result<> result;
    auto look = [&](PartitionId partition, BodyId id, const BodyPlace& place) {
        if (!sums.contains(place.segment)) return true;
        const auto before = totals_.damaged;
        result = body(partition, id, place);
        if (totals_.damaged != before) return result.has_value();
        for (auto [begin, end] : walked_[place.segment].unreadable)
            if (place.offset >= begin && place.offset < end)
                damaged({directory_.relative(directory_.segment(place.segment)), begin, partition, id,
                         "its record can't be read; the index still has what it said"});
        return result.has_value();
    };
    auto done = index_.for_each_body(look);
    return done ? result : done;
}

void StoreCheck::format() {
    if (auto intact = directory_.check_format(); !intact) damaged({"FORMAT", 0, {}, {}, intact.error().detail()});
}

Result<> StoreCheck::index_files() {
    auto found = index_.check_files([this](std::uint64_t octets) { return pace(octets).has_value(); });
    if (!found) return pass_on(found);
    for (auto& damage : *found) damaged(std::move(damage));
    return {};
}

}  // namespace poplar::engine::local
