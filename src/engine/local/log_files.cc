// At a start: which files are there twice, which of the two can be read, and moving the bodies over to those that stay.
#include "engine/local/log_files.h"

#include <algorithm>

#include "engine/local/segment_walk.h"

namespace poplar::engine::local {

namespace {

constexpr std::size_t kMoves = 1024;  // index changes written at once

// Whether all of a file can be read, bodies included.
Result<bool> is_intact(const StoreDirectory& directory, SegmentId id) {
    auto file = File::open(directory.disk(), directory.segment(id), File::Mode::read);
    if (!file) return pass_on(file);
    auto size = file->size();
    if (!size) return pass_on(size);
    auto header = directory.read_header(*file);
    if (!header) return header.error().code() == Errc::corrupt ? Result<bool>(false) : pass_on(header);
    FileSource source(*file);
    SegmentWalk walk(source, directory.mark(), kSegmentHeader, *size, 1, SegmentWalk::Bodies::check);
    for (;;) {
        auto step = walk.next();
        if (!step) return pass_on(step);
        if (step->kind == SegmentWalk::Step::Kind::end) return step->offset == *size;
        if (step->kind == SegmentWalk::Step::Kind::damage || !step->body_intact) return false;
    }
}

// Whether `files` hold everything that `copy` stands for: some may have been unlinked already.
bool all_there(const std::vector<LogFile>& files, const LogFile& copy) {
    auto expected = copy.id.number;
    for (const auto& file : files) {
        if (file.id.number != expected) return false;
        expected = file.last + 1;
    }
    return expected == copy.last + 1;
}

}  // namespace

Result<std::vector<LogFile>> read_log(const StoreDirectory& directory) {
    auto segments = directory.segments();
    if (!segments) return pass_on(segments);
    std::vector<LogFile> files;
    for (auto id : *segments) {
        LogFile log{id, id.number};
        if (id.pass > 0) {
            auto file = File::open(directory.disk(), directory.segment(id), File::Mode::read);
            if (!file) return pass_on(file);
            auto header = directory.read_header(*file);
            if (!header && header.error().code() != Errc::corrupt) return pass_on(header);
            if (header && header->id == id) {
                log.last = header->last;
                log.as_of = header->as_of;
                log.next_body = header->next_body;
            }
        }
        files.push_back(log);
    }
    return files;
}

Result<std::vector<Leftover>> settle_copies(const StoreDirectory& directory, std::vector<LogFile>& files) {
    std::vector<Leftover> leftovers;
    std::vector<SegmentId> drop;
    for (const auto& copy : files) {
        if (copy.id.pass == 0) continue;
        Leftover found;
        for (const auto& file : files)
            if (file.id.number >= copy.id.number && file.id.number <= copy.last && file.id.pass < copy.id.pass)
                found.gone.push_back(file);
        if (found.gone.empty()) continue;
        found.instead = {copy};
        if (all_there(found.gone, copy)) {
            auto intact = is_intact(directory, copy.id);
            if (!intact) return pass_on(intact);
            if (!*intact) std::swap(found.gone, found.instead);
        }
        for (const auto& file : found.gone) drop.push_back(file.id);
        leftovers.push_back(std::move(found));
    }
    std::erase_if(files, [&](const auto& file) { return std::ranges::find(drop, file.id) != drop.end(); });
    return leftovers;
}

Result<Counted> find_moves(
    const StoreDirectory& directory, const Index& index, SegmentId to, const std::vector<SegmentId>& from,
    const std::function<Result<>(PartitionId, BodyId, const BodyPlace& from, const BodyPlace& to)>& move) {
    auto file = File::open(directory.disk(), directory.segment(to), File::Mode::read);
    if (!file) return pass_on(file);
    auto size = file->size();
    if (!size) return pass_on(size);
    FileSource source(*file);
    SegmentWalk walk(source, directory.mark(), kSegmentHeader, *size, 1, SegmentWalk::Bodies::skip);
    Counted counted;
    for (;;) {
        auto step = walk.next();
        if (!step) return pass_on(step);
        if (step->kind == SegmentWalk::Step::Kind::end) return counted;
        if (step->kind == SegmentWalk::Step::Kind::damage) continue;
        counted.meta_octets += kRecordHeader + step->header.meta_octets;
        auto offset = step->body_offset();
        for (const auto& body : step->meta.bodies) {
            const auto place = body.place(to, offset);
            offset += body.inline_octets;
            if (body.inline_octets > 0) ++counted.bodies;
            auto now = index.place(step->header.partition, body.id);
            if (!now && now.error().code() != Errc::not_found) return pass_on(now);
            if (!now || std::ranges::find(from, now->segment) == from.end()) continue;
            if (auto done = move(step->header.partition, body.id, *now, place); !done) return pass_on(done);
        }
    }
}

Result<bool> left_behind(const Index& index, const SegmentTable& table, const std::vector<SegmentId>& segments) {
    bool quick = std::ranges::all_of(segments, [&](auto id) {
        auto space = table.find(id);
        return !space || space->live_bodies == 0;
    });
    if (quick) return false;
    bool left = false;
    auto each = [&](PartitionId, BodyId, const BodyPlace& place) {
        left = place.inline_octets > 0 && std::ranges::find(segments, place.segment) != segments.end();
        return !left;
    };
    if (auto done = index.for_each_body(each); !done) return pass_on(done);
    return left;
}

Result<> finish_copies(const StoreDirectory& directory, Index& index, SegmentTable& table,
                       const std::vector<Leftover>& leftovers, const Position& position) {
    if (leftovers.empty()) return {};
    rocksdb::WriteBatch batch;
    auto write = [&]() -> Result<> {
        table.stage(batch);
        auto done = index.write(batch, position);
        batch.Clear();
        return done;
    };
    auto move = [&](PartitionId partition, BodyId id, const BodyPlace& from, const BodyPlace& to) -> Result<> {
        Index::stage_place(batch, partition, id, to);
        table.move_body(from, to);
        return static_cast<std::size_t>(batch.Count()) < kMoves ? Result<>() : write();
    };
    for (const auto& [gone, instead] : leftovers) {
        std::vector<SegmentId> from;
        for (const auto& file : gone) from.push_back(file.id);
        for (const auto& file : instead) {
            table.add_segment(file.id, file.last, file.as_of);
            auto counted = find_moves(directory, index, file.id, from, move);
            if (!counted) return pass_on(counted);
            table.add_copy(file.id, counted->meta_octets, counted->bodies);
        }
        if (auto written = write(); !written) return written;
        auto left = left_behind(index, table, from);
        if (!left) return pass_on(left);
        if (*left) return fail(Errc::corrupt, "index: it has bodies where no record speaks of them");
        for (auto id : from) table.remove_segment(id);
    }
    if (auto written = write(); !written) return written;
    directory.disk().reached(Step::copy_indexed);
    // After a crash the index must not know the files that go any more.
    if (auto flushed = index.flush(Index::FlushMode::wait); !flushed) return flushed;
    directory.disk().reached(Step::copy_flushed);
    for (const auto& leftover : leftovers)
        for (const auto& file : leftover.gone)
            if (auto gone = directory.remove_segment(file.id); !gone) return gone;
    return {};
}

}  // namespace poplar::engine::local
