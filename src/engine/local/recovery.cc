#include "engine/local/recovery.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/local/segment_walk.h"

namespace poplar::engine::local {

namespace {

constexpr std::size_t kReplayBatch = 4u << 20;  // octets of index changes written at once

// Where the last segment's good part ends: at the first damage that may belong to its last group.
Result<std::uint64_t> find_cut(const ByteSource& source, RecordMark mark, std::uint64_t begin, std::uint64_t size,
                               std::uint64_t min_sequence) {
    SegmentWalk walk(source, mark, begin, size, min_sequence, SegmentWalk::Bodies::check);
    std::uint64_t group = 0;                  // of the latest record
    std::optional<std::uint64_t> cut, fresh;  // the first damage in that group; the damage since that record
    for (;;) {
        auto step = walk.next();
        if (!step) return pass_on(step);
        if (step->kind == SegmentWalk::Step::Kind::end) return cut.value_or(step->offset);
        if (step->kind == SegmentWalk::Step::Kind::damage) {
            fresh = step->offset;
            if (!cut) cut = fresh;
            continue;
        }
        if (step->header.group != group) {  // a group was begun, so all before it were complete
            bool whole_beginning = step->header.sequence == step->header.group;
            cut = whole_beginning ? std::nullopt : fresh;
            group = step->header.group;
        }
        fresh.reset();
        if (!step->body_intact && !cut) cut = step->offset;
    }
}

class Replay {
public:
    Replay(StoreDirectory& directory, Index& index, Recovered& result)
        : directory_(directory), index_(index), result_(result) {}

    Result<> segment(std::uint64_t number, bool last);
    Result<> finish() { return write(); }
    // Damaged bodies that no later record erased.
    Result<> report_bodies();

private:
    Result<> apply(const SegmentWalk::Step& step, std::uint64_t number);
    Result<> write();
    void report(const File& file, std::uint64_t offset, std::string what) {
        result_.damage.push_back(
            {directory_.relative(file.path()), offset, std::nullopt, std::nullopt, std::move(what)});
    }

    StoreDirectory& directory_;
    Index& index_;
    Recovered& result_;
    rocksdb::WriteBatch batch_;
    struct Suspect {
        PartitionId partition;
        BodyId body;
        std::uint64_t segment;
        std::uint64_t offset;
    };
    std::vector<Suspect> suspects_;
};

Result<> Replay::segment(std::uint64_t number, bool last) {
    auto& position = result_.position;
    auto file = File::open(directory_.disk(), directory_.segment(number), File::Mode::read_write);
    if (!file) return pass_on(file);
    auto size = file->size();
    if (!size) return pass_on(size);
    std::uint64_t begin = number == position.segment ? position.offset : kSegmentHeader;
    position.segment = number;
    position.offset = std::max<std::uint64_t>(begin, kSegmentHeader);

    if (auto header = directory_.read_header(*file); !header) {
        if (header.error().code() == Errc::invalid) return pass_on(header);
        report(*file, 0, header.error().detail());
    }
    FileSource source(*file);
    std::uint64_t end = std::max(begin, *size);
    if (begin > *size) {
        // Goes on behind that place all the same: places in the index must never come to mean other octets.
        report(*file, *size, fmt::format("the segment ends before octet {}, up to where the index knows it", begin));
    } else if (last) {
        auto cut = find_cut(source, directory_.mark(), begin, *size, position.next_sequence);
        if (!cut) return pass_on(cut);
        auto data = file->next_data(*cut);
        if (!data) return pass_on(data);
        if (*data < *size) result_.cut_octets = *size - *data;
        end = *cut;
    }
    if (last) {  // the index may be flushed at any time: what it will know must be durable
        if (auto done = file->truncate(end); !done) return done;
        if (auto done = file->sync_metadata(Sync::recovered); !done) return done;
        directory_.disk().reached(Step::log_recovered);
    }
    SegmentWalk walk(source, directory_.mark(), begin, end, position.next_sequence, SegmentWalk::Bodies::check);
    for (;;) {
        auto step = walk.next();
        if (!step) return pass_on(step);
        if (step->kind == SegmentWalk::Step::Kind::end) {
            if (step->next > step->offset) report(*file, step->offset, "the rest of the segment can't be read");
            break;
        }
        if (step->kind == SegmentWalk::Step::Kind::damage) {
            report(*file, step->offset, fmt::format("{} octets can't be read", step->next - step->offset));
            continue;
        }
        if (auto applied = apply(*step, number); !applied) return applied;
    }
    if (last) position.offset = end;
    return {};
}

Result<> Replay::apply(const SegmentWalk::Step& step, std::uint64_t number) {
    auto& position = result_.position;
    Index::stage(batch_, step.header.partition, step.meta, number, step.body_offset());
    for (const auto& body : step.meta.bodies) {
        position.next_body = std::max(position.next_body, body.id.value + 1);
        if (!step.body_intact) suspects_.push_back({step.header.partition, body.id, number, step.offset});
    }
    position.offset = step.next;
    position.next_sequence = step.header.sequence + 1;
    ++result_.records;
    if (batch_.GetDataSize() >= kReplayBatch) return write();
    return {};
}

Result<> Replay::write() {
    auto done = index_.write(batch_, result_.position);
    batch_.Clear();
    return done;
}

Result<> Replay::report_bodies() {
    for (const auto& suspect : suspects_) {
        auto place = *index_.place(suspect.partition, suspect.body, Wait::yes);
        if (!place) {
            if (place.error().code() == Errc::not_found) continue;
            return pass_on(place);
        }
        result_.damage.push_back({directory_.relative(directory_.segment(suspect.segment)), suspect.offset,
                                  suspect.partition, suspect.body, "a body's checksum is wrong"});
    }
    return {};
}

// Removes the files of large bodies that no commit speaks of. Where the log is damaged, the record of such a file may
// be what was lost: then it is kept aside.
Result<> sweep_large(StoreDirectory& directory, Index& index, Recovered& result) {
    if (auto swept = directory.sweep_incoming(); !swept) return swept;
    auto files = directory.large_bodies();
    if (!files) return pass_on(files);
    for (auto [partition, id] : *files) {
        result.position.next_body = std::max(result.position.next_body, id.value + 1);
        auto place = *index.place(partition, id, Wait::yes);
        if (place || place.error().code() != Errc::not_found) continue;
        if (!result.damage.empty()) {
            if (auto done = directory.keep_aside(partition, id); !done) return done;
            continue;
        }
        auto done = unlink_file(directory.disk(), directory.large_body(partition, id));
        if (!done) return done;
        directory.disk().reached(Step::orphan_unlinked);
    }
    return {};
}

}  // namespace

Result<Recovered> recover(StoreDirectory& directory, Index& index) {
    Recovered result;
    auto position = index.position();
    if (!position) return pass_on(position);
    result.position = *position;

    auto segments = directory.segments();
    if (!segments) return pass_on(segments);
    // A crash while a segment was made may leave a last one without its header: it never held a record.
    auto known = [&](std::uint64_t number) {
        return number < position->segment || (number == position->segment && position->offset > kSegmentHeader);
    };
    while (!segments->empty()) {
        auto last = File::open(directory.disk(), directory.segment(segments->back()), File::Mode::read);
        if (!last) return pass_on(last);
        auto size = last->size();
        if (!size) return pass_on(size);
        if (directory.read_header(*last) || known(segments->back()) || *size > kSegmentHeader) break;
        if (auto gone = unlink_file(directory.disk(), last->path()); !gone) return pass_on(gone);
        segments->pop_back();
    }
    if (known(position->segment) && (segments->empty() || segments->back() < position->segment))
        return fail(Errc::corrupt, fmt::format("segment {} is missing", position->segment));

    Replay replay(directory, index, result);
    std::uint64_t expected = position->segment;
    for (auto number : *segments) {
        if (number < position->segment) continue;
        for (; expected < number; ++expected)
            result.damage.push_back({directory.relative(directory.segment(expected)), 0, std::nullopt, std::nullopt,
                                     "the segment is missing"});
        ++expected;
        if (auto done = replay.segment(number, number == segments->back()); !done) return pass_on(done);
        directory.disk().reached(Step::log_replayed);
    }
    if (auto done = replay.finish(); !done) return pass_on(done);
    if (auto done = replay.report_bodies(); !done) return pass_on(done);
    if (auto done = sweep_large(directory, index, result); !done) return pass_on(done);
    return result;
}

}  // namespace poplar::engine::local
