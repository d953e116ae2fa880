// Replays the segments behind the index's position, finds and cuts the torn tail of the last, and tells of the damage
// it meets.
#include "engine/local/recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "engine/local/log_files.h"
#include "engine/local/segment_walk.h"
#include "engine/local/shared_bodies.h"

namespace poplar::engine::local {

namespace {

constexpr std::uint64_t kBlock = 4096;          // octets that can be a hole
constexpr std::size_t kReplayBatch = 4u << 20;  // octets of index changes written at once

// The last segment's good part ends at the first damage that may belong to its last group.
struct Tail {
    std::uint64_t group;  ///< where the last group begins
    std::uint64_t end;
};
Result<Tail> find_tail(const ByteSource& source, RecordMark mark, std::uint64_t begin, std::uint64_t size,
                       std::uint64_t min_sequence) {
    SegmentWalk walk(source, mark, begin, size, min_sequence, SegmentWalk::Bodies::check);
    std::uint64_t group = 0, group_begin = begin;  // of the latest record
    std::optional<std::uint64_t> cut, fresh;       // the first damage in that group; the damage since that record
    for (;;) {
        auto step = walk.next();
        if (!step) return pass_on(step);
        if (step->kind == SegmentWalk::Step::Kind::end) return Tail{group_begin, cut.value_or(step->offset)};
        if (step->kind == SegmentWalk::Step::Kind::damage) {
            fresh = step->offset;
            if (!cut) cut = fresh;
            continue;
        }
        if (step->header.group != group) {  // a group was begun, so all before it were complete
            bool whole_beginning = step->header.sequence == step->header.group;
            cut = whole_beginning ? std::nullopt : fresh;
            group = step->header.group;
            group_begin = step->offset;
        }
        fresh.reset();
        if (!step->body_intact && !cut) cut = step->offset;
    }
}

// After a sync that failed the kernel may hold octets that the disk has not, and take them for written: another sync
// would not write them. They can only be the last group's, as nothing is written behind it. Holes stay holes.
Result<> write_again(File& file, std::uint64_t begin, std::uint64_t end) {
    std::string block(kBlock, '\0');
    for (auto at = begin; at < end;) {
        auto data = file.next_data(at);
        if (!data) return pass_on(data);
        at = *data;
        if (at >= end) break;
        auto got = file.read_at(block.data(), std::min(kBlock - at % kBlock, end - at), at);
        if (!got) return pass_on(got);
        if (auto done = file.write_at(std::string_view(block).substr(0, *got), at); !done) return done;
        at += std::max<std::size_t>(*got, 1);
    }
    return {};
}

class Replay {
public:
    Replay(StoreDirectory& directory, Index& index, SegmentTable& table, Recovered& result)
        : directory_(directory), index_(index), table_(table), result_(result), shared_(index) {}

    Result<> segment(const LogFile& log, bool last);
    Result<> finish() { return write(); }
    // Damaged bodies that no later record erased.
    Result<> report_bodies();

private:
    Result<> apply(const SegmentWalk::Step& step, SegmentId id);
    Result<> count(const SegmentWalk::Step& step, SegmentId id);
    Result<> write();
    void report(const File& file, std::uint64_t offset, std::string what) {
        result_.damage.push_back(
            {directory_.relative(file.path()), offset, std::nullopt, std::nullopt, std::move(what)});
    }

    void unreadable(const LogFile& log, const File& file, std::uint64_t offset, std::string what) {
        report(file, offset, std::move(what));
        if (result_.unreadable.empty() || result_.unreadable.back().id != log.id) result_.unreadable.push_back(log);
    }

    StoreDirectory& directory_;
    Index& index_;
    SegmentTable& table_;
    Recovered& result_;
    rocksdb::WriteBatch batch_;
    std::map<std::pair<PartitionId, BodyId>, BodyPlace> places_;  // of the batch
    std::set<std::pair<PartitionId, BodyId>> gone_;               // by the batch
    std::vector<std::pair<BodyId, BodyPlace>> erased_;            // by the record
    SharedBodies shared_;
    struct Suspect {
        PartitionId partition;
        BodyId body;
        SegmentId segment;
        std::uint64_t offset;
    };
    std::vector<Suspect> suspects_;
};

Result<> Replay::segment(const LogFile& log, bool last) {
    auto& position = result_.position;
    const auto number = log.id.number;
    auto file = File::open(directory_.disk(), directory_.segment(log.id), File::Mode::read_write);
    if (!file) return pass_on(file);
    auto size = file->size();
    if (!size) return pass_on(size);
    std::uint64_t begin = number == position.segment ? position.offset : kSegmentHeader;
    position.segment = number;
    position.offset = std::max<std::uint64_t>(begin, kSegmentHeader);
    table_.add_segment(log.id, log.last, log.as_of);

    if (auto header = directory_.read_header(*file); !header) {
        if (header.error().code() == Errc::invalid) return pass_on(header);
        unreadable(log, *file, 0, header.error().detail());
    }
    FileSource source(*file);
    std::uint64_t end = std::max(begin, *size);
    if (begin > *size) {
        // Goes on behind that place all the same: places in the index must never come to mean other octets.
        report(*file, *size, fmt::format("the segment ends before octet {}, up to where the index knows it", begin));
    } else if (last) {
        auto tail = find_tail(source, directory_.mark(), begin, *size, position.next_sequence);
        if (!tail) return pass_on(tail);
        auto data = file->next_data(tail->end);
        if (!data) return pass_on(data);
        if (*data < *size) result_.cut_octets = *size - *data;
        end = tail->end;
        if (auto done = write_again(*file, tail->group, end); !done) return done;
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
            if (step->next > step->offset)
                unreadable(log, *file, step->offset, "the rest of the segment can't be read");
            break;
        }
        if (step->kind == SegmentWalk::Step::Kind::damage) {
            unreadable(log, *file, step->offset, fmt::format("{} octets can't be read", step->next - step->offset));
            continue;
        }
        if (auto applied = apply(*step, log.id); !applied) return applied;
    }
    if (last) position.offset = end;
    return {};
}

// Keeps the table of segments, as the committer does.
Result<> Replay::count(const SegmentWalk::Step& step, SegmentId id) {
    table_.add_record(id, kRecordHeader + step.header.meta_octets);
    auto offset = step.body_offset();
    for (const auto& body : step.meta.bodies) {
        const auto place = body.place(id, offset);
        table_.add_body(place);
        shared_.add(step.header.partition, body);
        places_[{step.header.partition, body.id}] = place;
        offset += body.inline_octets;
    }
    for (auto body : step.meta.erased_bodies) {
        if (auto it = places_.find({step.header.partition, body}); it != places_.end()) {
            table_.erase_body(it->second);
            erased_.emplace_back(body, it->second);
            places_.erase(it);
            gone_.insert({step.header.partition, body});
        } else if (gone_.insert({step.header.partition, body}).second) {
            auto place = index_.place(step.header.partition, body);
            if (!place && place.error().code() != Errc::not_found) return pass_on(place);
            if (!place) continue;
            table_.erase_body(*place);
            erased_.emplace_back(body, *place);
        }
    }
    return {};
}

Result<> Replay::apply(const SegmentWalk::Step& step, SegmentId id) {
    auto& position = result_.position;
    if (auto counted = count(step, id); !counted) return counted;
    Index::stage(batch_, step.header.partition, step.meta, id, step.body_offset());
    for (const auto& [body, place] : erased_) shared_.erase(batch_, step.header.partition, body, place);
    erased_.clear();
    for (const auto& body : step.meta.bodies) {
        position.next_body = std::max(position.next_body, body.id.value + 1);
    }
    for (auto body : step.broken) suspects_.push_back({step.header.partition, body, id, step.offset});
    position.offset = step.next;
    position.next_sequence = step.header.sequence + 1;
    ++result_.records;
    if (batch_.GetDataSize() >= kReplayBatch) return write();
    return {};
}

Result<> Replay::write() {
    auto unshared = shared_.settle(batch_);
    if (!unshared) return pass_on(unshared);
    for (const auto& one : *unshared) table_.erase_body(one.place);
    table_.stage(batch_);
    auto done = index_.write(batch_, result_.position);
    batch_.Clear();
    places_.clear();
    gone_.clear();
    return done;
}

Result<> Replay::report_bodies() {
    for (const auto& suspect : suspects_) {
        auto place = index_.place(suspect.partition, suspect.body);
        if (!place) {
            if (place.error().code() == Errc::not_found) continue;
            return pass_on(place);
        }
        auto owners = index_.owners(suspect.partition, suspect.body);
        if (!owners) return pass_on(owners);
        for (auto [partition, body] : *owners)
            result_.damage.push_back({directory_.relative(directory_.segment(suspect.segment)), suspect.offset,
                                      partition, body, "a body's checksum is wrong"});
    }
    return {};
}

// A crash while the newest segment was made may leave it without its header: it never held a record.
Result<> drop_unborn(StoreDirectory& directory, const Position& position, std::vector<LogFile>& files) {
    while (!files.empty()) {
        auto id = files.back().id;
        bool known =
            id.number < position.segment || (id.number == position.segment && position.offset > kSegmentHeader);
        auto last = File::open(directory.disk(), directory.segment(id), File::Mode::read);
        if (!last) return pass_on(last);
        auto size = last->size();
        if (!size) return pass_on(size);
        if (directory.read_header(*last) || known || *size > kSegmentHeader) break;
        if (auto gone = unlink_file(directory.disk(), last->path()); !gone) return gone;
        files.pop_back();
    }
    return {};
}

// A copy was decided with the whole log known up to then. An index that knows less would miss what the copy left out.
Result<> check_age(const Position& position, const std::vector<LogFile>& files) {
    if (position.next_sequence == 1) return {};  // made anew from the first record on
    for (const auto& file : files)
        if (file.as_of >= position.next_sequence)
            return fail(Errc::corrupt, "index: it is older than the segments' copies; poplar rebuild makes it anew");
    return {};
}

// At a start nothing is being delivered. To be called before damaged bodies are reported, because the octets of a
// shared body that no body ends with were given back.
Result<> release_shared(Index& index, SegmentTable& table, const Position& position) {
    rocksdb::WriteBatch batch;
    if (auto released = release_all(index, table, batch); !released) return released;
    if (batch.Count() == 0) return {};
    table.stage(batch);
    return index.write(batch, position);
}

}  // namespace

Result<Recovered> recover(StoreDirectory& directory, Index& index, SegmentTable& table) {
    Recovered result;
    auto position = index.position();
    if (!position) return pass_on(position);
    result.position = *position;
    if (auto loaded = table.load(index); !loaded) return pass_on(loaded);
    if (table.rows().empty() && position->next_sequence > 1)
        if (auto counted = table.recount(index); !counted) return pass_on(counted);

    if (auto swept = directory.sweep_drafts(); !swept) return pass_on(swept);
    auto files = read_log(directory);
    if (!files) return pass_on(files);
    if (auto dropped = drop_unborn(directory, *position, *files); !dropped) return pass_on(dropped);
    bool known = position->segment > 1 || position->offset > kSegmentHeader;
    if (known && (files->empty() || files->back().id.number < position->segment))
        return fail(Errc::corrupt, fmt::format("segment {} is missing", position->segment));
    if (auto fits = check_age(*position, *files); !fits) return pass_on(fits);
    auto leftovers = settle_copies(directory, *files);
    if (!leftovers) return pass_on(leftovers);

    Replay replay(directory, index, table, result);
    std::uint64_t expected = position->segment;
    for (const auto& file : *files) {
        result.position.next_body = std::max(result.position.next_body, file.next_body);
        if (file.id.number < position->segment) continue;
        for (; expected < file.id.number; ++expected)
            result.damage.push_back({directory.relative(directory.segment({expected, 0})), 0, std::nullopt,
                                     std::nullopt, "the segment is missing"});
        expected = file.last + 1;
        if (auto done = replay.segment(file, &file == &files->back()); !done) return pass_on(done);
        directory.disk().reached(Step::log_replayed);
    }
    if (auto done = replay.finish(); !done) return pass_on(done);
    if (auto done = finish_copies(directory, index, table, *leftovers, result.position); !done) return pass_on(done);
    for (const auto& row : table.rows())
        if (std::ranges::find(*files, row.id, &LogFile::id) == files->end())
            result.damage.push_back({directory.relative(directory.segment(row.id)), 0, std::nullopt, std::nullopt,
                                     "the segment is missing"});
    // Where the log is damaged, the records that end with a shared body may be what was lost.
    if (result.damage.empty())
        if (auto released = release_shared(index, table, result.position); !released) return pass_on(released);
    if (auto done = replay.report_bodies(); !done) return pass_on(done);
    return result;
}

Result<> sweep_large(StoreDirectory& directory, Index& index, Recovered& result) {
    if (auto swept = directory.sweep_incoming(); !swept) return swept;
    auto files = directory.large_bodies();
    if (!files) return pass_on(files);
    for (auto [partition, id] : *files) {
        result.position.next_body = std::max(result.position.next_body, id.value + 1);
        auto place = index.place(partition, id);
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

}  // namespace poplar::engine::local
