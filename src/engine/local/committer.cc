// The committer's thread. In the order of a group's way: gather, prepare, make_room, write, index, finish, reclaim.
// commit() has them all on one page.
#include "engine/local/committer.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "base/log.h"
#include "engine/local/frame.h"

namespace poplar::engine::local {

namespace {

constexpr std::uint64_t kGroupOctets = 8u << 20;  // a group takes no further commit past this
constexpr std::size_t kGroupCommits = 1024;
constexpr std::size_t kKnownChanges = 64 << 10;  // partitions whose change number need not be looked up
constexpr std::uint64_t kBlock = 4096;           // what the disk gives space by
constexpr char kNearlyFull[] = "the disk is nearly full: no new mail is taken";
constexpr std::uint64_t kAllocation = 32u << 20;  // segments grow by this: fewer metadata changes in the syncs

const LocalStagedBody* staged(const Batch::NewBody& body) {
    return static_cast<const LocalStagedBody*>(body.tail.get());
}

// Whether the record of a body in this partition holds the staged frames too, or names the shared body that has them.
bool is_inline(PartitionId partition, const LocalStagedBody& rest) {
    return rest.shared() == BodyId() || partition == kSharedBodies;
}

// A shared body counts for every commit that was handed in before it was stored.
std::uint64_t weight(const Batch& batch) {
    std::uint64_t octets = 256;
    for (const auto& body : batch.bodies) {
        octets += body.head.size();
        if (const auto* rest = staged(body); rest && rest->stored() != LocalStagedBody::Stored::yes)
            octets += rest->frame_octets();
    }
    for (const auto& entry : batch.puts) octets += entry.key.size() + entry.value.size();
    return octets;
}

}  // namespace

// A commit that is going to be written.
struct Committer::Prepared {
    Request request;
    ChangeNumber change;
    RecordMeta meta;
    RecordHeader header;
    std::string header_and_meta;
    std::vector<std::string> heads;  // framed
    std::vector<std::pair<BodyId, BodyPlace>> freed;
    std::vector<BodyId> unplaced;            // erased, unknown to the index
    const LocalStagedBody* shared() const {  // the shared body that this stores
        return header.partition == kSharedBodies ? staged(request.batch.bodies.front()) : nullptr;
    }
};

struct Committer::Group {
    std::vector<Prepared> commits;
    std::unordered_map<PartitionId, ChangeNumber> changes;  // of partitions with a commit in this group
    std::unordered_set<BodyId> freed;                       // by its commits
    std::unordered_set<BodyId> shared;                      // stored with it
    std::vector<SharedBodies::Gone> unshared;               // by its commits
    std::uint64_t first = 0;                                // sequence
    std::uint64_t octets = 0;
    std::uint64_t begin = 0;  // offset in the segment
    bool space_is_short = false;

    void set_stored(LocalStagedBody::Stored stored) const {
        for (const auto& commit : commits)
            if (const auto* body = commit.shared()) body->set_stored(stored);
    }
};

Committer::Committer(const Options& options, StoreDirectory& directory, Index& index, SegmentTable& table,
                     Leases& leases, Watches& watches, Reserve& reserve, Staging& staging, Reclaims& reclaims)
    : options_(options),
      directory_(directory),
      index_(index),
      table_(table),
      leases_(leases),
      watches_(watches),
      reserve_(reserve),
      staging_(staging),
      pool_(staging.pool),
      reclaims_(reclaims),
      next_body_(staging.next_body),
      shared_(index) {}

Result<> Committer::start(const Position& position) {
    end_ = durable_ = position;
    auto file = File::open(directory_.disk(), directory_.segment({position.segment, 0}), File::Mode::read_write);
    if (!file && file.error().code() == Errc::not_found)
        file = directory_.create_segment(position.segment, position.next_sequence);
    if (!file) return pass_on(file);
    auto size = file->size();
    if (!size) return pass_on(size);
    allocated_ = *size;
    segment_ = std::move(*file);
    table_.add_segment({position.segment, 0}, position.segment, 0);
    thread_ = std::thread([this] { run(); });
    return {};
}

Committer::~Committer() {
    if (!thread_.joinable()) return;
    {
        std::lock_guard guard(mutex_);
        stopping_ = true;
    }
    ready_.notify_one();
    thread_.join();
    if (directory_.health().stopped()) return;
    // Erases what was released since the last group, without reclaiming it: its space may be in that group, where no
    // hole may be made.
    Group last;
    if (index_erased(last, {}) && unindexed_.Count() > 0) {
        table_.stage(unindexed_);
        (void)update_index();
    }
    // A clean stop leaves nothing to replay and no unwritten blocks.
    (void)segment_->truncate(end_.offset);
    (void)index_.flush(Index::FlushMode::wait);
}

void Committer::submit(Request request) {
    {
        std::lock_guard guard(mutex_);
        queue_.push_back(std::move(request));
    }
    ready_.notify_one();
}

Position Committer::durable_end() const {
    std::lock_guard guard(durable_mutex_);
    return durable_;
}

void Committer::run() {
    for (;;) {
        auto requests = gather();
        if (!requests) return;
        make_moves();
        if (!requests->empty())
            commit(std::move(*requests));
        else
            look_again();
    }
}

Result<> Committer::move(const std::vector<Move>& moves) {
    std::promise<Result<>> done;
    auto answer = done.get_future();
    {
        std::lock_guard guard(mutex_);
        moves_.emplace_back(&moves, std::move(done));
    }
    ready_.notify_one();
    return answer.get();
}

Result<> Committer::begin_segment() {
    std::promise<Result<>> done;
    auto answer = done.get_future();
    {
        std::lock_guard guard(mutex_);
        rolls_.push_back(std::move(done));
    }
    ready_.notify_one();
    return answer.get();
}

void Committer::make_moves() {
    decltype(moves_) asked;
    decltype(rolls_) rolls;
    {
        std::lock_guard guard(mutex_);
        asked.swap(moves_);
        rolls.swap(rolls_);
    }
    for (auto& [moves, done] : asked) done.set_value(make(*moves));
    for (auto& done : rolls) done.set_value(leave_segment());
}

// The index has to know the new segment: no replay may begin in one that is copied.
Result<> Committer::leave_segment() {
    if (directory_.health().stopped()) return fail(Errc::io, directory_.health().state());
    if (end_.offset <= kSegmentHeader) return {};
    if (auto ready = index_.ready(); !ready) return ready;
    if (auto rolled = roll(0, end_.next_sequence); !rolled) return rolled;
    table_.stage(unindexed_);
    return update_index();
}

Result<> Committer::make(const std::vector<Move>& moves) {
    if (directory_.health().stopped()) return fail(Errc::io, directory_.health().state());
    if (auto ready = index_.ready(); !ready) return ready;
    for (const auto& move : moves) {
        auto place = index_.place(move.partition, move.id);
        if (!place && place.error().code() != Errc::not_found) return pass_on(place);
        if (!place || *place != move.from) continue;  // erased meanwhile
        Index::stage_place(unindexed_, move.partition, move.id, move.to);
        table_.move_body(move.from, move.to);
    }
    table_.stage(unindexed_);
    return update_index();
}

// Takes the queued requests, up to a group's size; none when there are only moves to make, or room is to be looked for
// again; nullopt when stopping.
std::optional<std::vector<Committer::Request>> Committer::gather() {
    std::unique_lock lock(mutex_);
    auto some = [this] { return stopping_ || !queue_.empty() || !moves_.empty() || !rolls_.empty(); };
    if (!short_of_room_)
        ready_.wait(lock, some);
    else if (!ready_.wait_for(lock, options_.retry, some))
        return std::vector<Request>();
    if (queue_.empty() && moves_.empty() && rolls_.empty()) return std::nullopt;
    std::uint64_t octets = 0;
    std::size_t count = 0;
    while (count < queue_.size() && count < kGroupCommits && (count == 0 || octets < kGroupOctets))
        octets += weight(queue_[count++].batch);
    if (count == queue_.size()) return std::exchange(queue_, {});
    auto cut = queue_.begin() + static_cast<std::ptrdiff_t>(count);
    std::vector<Request> taken(std::make_move_iterator(queue_.begin()), std::make_move_iterator(cut));
    queue_.erase(queue_.begin(), cut);
    return taken;
}

void Committer::commit(std::vector<Request> requests) {
    Group group;
    prepare(group, requests);
    if (group.commits.empty()) return;
    if (directory_.health().stopped()) return fail_all(group, Error(Errc::io, directory_.health().state()));
    if (auto ready = index_.ready(); !ready) return fail_all(group, ready.error());
    if (auto room = make_room(group); !room) return fail_all(group, room.error());
    if (auto written = write(group); !written) {
        if (directory_.health().stopped()) group.set_stored(LocalStagedBody::Stored::perhaps);
        return fail_all(group, written.error());
    }
    group.set_stored(LocalStagedBody::Stored::yes);
    if (auto indexed = index(group); !indexed) return fail_all(group, indexed.error());
    short_of_room_ = group.space_is_short;
    directory_.health().set(Health::Part::log, short_of_room_ ? kNearlyFull : "");
    finish(group);
    if (!short_of_room_ && reserve_.missing() > 0) reserve_.take();
}

bool Committer::space_is_short() const {
    auto space = free_space(directory_.disk(), directory_.root());
    return space && *space < options_.min_free_space + reserve_.missing();
}

// Called while there is nothing to do, so that the state says when there is room again.
void Committer::look_again() {
    if (!short_of_room_ || space_is_short()) return;
    if (!segment_->allocate(end_.offset, kBlock)) return;  // free space is no promise
    allocated_ = std::max(allocated_, end_.offset + kBlock);
    short_of_room_ = false;
    directory_.health().set(Health::Part::log, "");
    if (reserve_.missing() > 0) reserve_.take();
}

// Decides each request and encodes those that go on; the others are answered here.
void Committer::prepare(Group& group, std::vector<Request>& requests) {
    group.space_is_short = space_is_short();
    group.first = end_.next_sequence;
    group.commits.reserve(requests.size());
    for (auto& request : requests) {
        auto prepared = prepare(group, request);
        if (prepared) continue;
        request.batch.bodies.clear();  // as in finish()
        request.done(pass_on(prepared));
    }
}

Result<> Committer::prepare(Group& group, Request& request) {
    if (auto prepared = prepare_shared(group, request.batch); !prepared) return prepared;
    auto change = admit(group, request);
    if (!change) return pass_on(change);
    encode(group, std::move(request), *change);
    return {};
}

// The shared bodies that the batch's bodies end with, if they are not stored yet: as commits of their own before it.
Result<> Committer::prepare_shared(Group& group, const Batch& batch) {
    for (const auto& body : batch.bodies) {
        const auto* rest = staged(body);
        if (!rest || rest->shared() == BodyId() || rest->stored() == LocalStagedBody::Stored::yes) continue;
        if (group.shared.contains(rest->shared())) continue;
        Request request{kSharedBodies, {}, std::nullopt, [](const Result<ChangeNumber>&) {}};
        request.batch.add_body(rest->shared(), "", body.tail);
        auto change = admit(group, request);
        if (!change) return pass_on(change);
        encode(group, std::move(request), *change);
        group.shared.insert(rest->shared());
    }
    return {};
}

void Committer::encode(Group& group, Request request, ChangeNumber change) {
    Prepared commit;
    commit.change = change;
    auto& batch = request.batch;
    commit.meta.change = change;
    commit.meta.erased = std::move(batch.erased);
    commit.meta.puts = std::move(batch.puts);
    std::ranges::sort(commit.meta.puts, {}, &Entry::key);
    commit.meta.erased_bodies = std::move(batch.erased_bodies);
    for (auto id : commit.meta.erased_bodies)
        if (!group.freed.insert(id).second)
            continue;
        else if (auto place = index_.place(request.partition, id))
            commit.freed.push_back({id, *place});
        else
            commit.unplaced.push_back(id);
    std::uint64_t body_octets = 0;
    for (const auto& body : batch.bodies) {
        RecordMeta::Body entry{body.id, body.head.size(), 0, 0, {}};
        std::string head;
        for (std::string_view rest = body.head; !rest.empty(); rest = rest.substr(std::min(rest.size(), kFrameData)))
            append_frame(rest.substr(0, kFrameData), head);
        entry.inline_octets = head.size();
        if (const auto* rest = staged(body)) {
            entry.size += rest->size();
            if (is_inline(request.partition, *rest)) {
                entry.inline_octets += rest->frame_octets();
                entry.file_octets = rest->file_octets();
            } else {
                entry.shared = rest->shared();
            }
        }
        body_octets += entry.inline_octets;
        commit.heads.push_back(std::move(head));
        commit.meta.bodies.push_back(entry);
    }
    auto meta = encode_meta(commit.meta);
    // Sequences are never used twice, so bytes of a group that failed can't be taken for a later one's.
    commit.header.sequence = end_.next_sequence++;
    commit.header.group = group.first;
    commit.header.partition = request.partition;
    commit.header.meta_octets = static_cast<std::uint32_t>(meta.size());
    commit.header.body_octets = static_cast<std::uint32_t>(body_octets);
    commit.header_and_meta = encode_record_header(directory_.mark(), commit.header, meta);
    commit.header_and_meta += meta;
    group.octets += commit.header.total();
    commit.request = std::move(request);
    group.commits.push_back(std::move(commit));
}

Result<ChangeNumber> Committer::admit(Group& group, const Request& request) {
    const auto& batch = request.batch;
    if (group.space_is_short && !batch.bodies.empty()) {
        short_of_room_ = true;
        directory_.health().set(Health::Part::log, kNearlyFull);
        return fail(Errc::no_space, "less than min_free_space is left");
    }
    for (const auto& fence : batch.fences)
        if (!leases_.held(request.partition, fence)) return fail(Errc::denied, "the lease is lost");
    auto [it, fresh] = group.changes.try_emplace(request.partition);
    if (auto known = known_.find(request.partition); fresh && known != known_.end()) {
        it->second = known->second;
    } else if (fresh) {
        auto number = *index_.change_number(request.partition, nullptr, Wait::yes);
        if (!number) {
            group.changes.erase(it);
            return number;
        }
        it->second = *number;
    }
    if (request.expected && *request.expected != it->second) return fail(Errc::conflict, "the partition has changed");
    ++it->second.value;
    return it->second;
}

// Sees to it that the current segment has blocks for the group.
Result<> Committer::make_room(const Group& group) {
    const auto octets = group.octets;
    if (end_.offset + octets > options_.segment_size && end_.offset > kSegmentHeader)
        if (auto rolled = roll(octets, group.commits.front().header.sequence); !rolled) return rolled;
    if (end_.offset + octets <= allocated_) return {};
    std::uint64_t need = end_.offset + octets - allocated_;
    std::uint64_t left = options_.segment_size - std::min(options_.segment_size, allocated_);
    std::uint64_t wish = std::max(need, std::min(left, kAllocation));
    auto done = segment_->allocate(allocated_, wish);
    if (!done && done.error().code() == Errc::no_space && wish > need) {
        wish = need;
        done = segment_->allocate(allocated_, wish);
    }
    if (!done && done.error().code() == Errc::no_space && reserve_.give_up())
        done = segment_->allocate(allocated_, wish);
    if (!done) return done;
    allocated_ += wish;
    directory_.disk().reached(Step::group_allocated);
    return {};
}

Result<> Committer::roll(std::uint64_t room, std::uint64_t first_sequence) {
    auto space = free_space(directory_.disk(), directory_.root());
    if (space && *space < room + kSegmentHeader && !reserve_.give_up())
        return fail(Errc::no_space, "no room for another segment");
    // A segment that another one follows ends, durably, where its last group does: recovery relies on it.
    if (auto sealed = cut_segment(); !sealed) return sealed;
    directory_.disk().reached(Step::segment_cut);
    auto next = directory_.create_segment(end_.segment + 1, first_sequence);
    if (!next) return pass_on(next);
    segment_ = std::move(*next);
    ++end_.segment;
    table_.add_segment({end_.segment, 0}, end_.segment, 0);
    end_.offset = allocated_ = kSegmentHeader;
    // Replay after a crash then begins about here.
    if (auto flushed = index_.flush(Index::FlushMode::background); !flushed)
        log::warning("store.flush", {{"error", flushed.error().detail()}});
    return {};
}

Result<> Committer::write(Group& group) {
    group.begin = end_.offset;
    std::vector<iovec> parts;
    auto add = [&](const std::string& bytes) {
        if (!bytes.empty()) parts.push_back({const_cast<char*>(bytes.data()), bytes.size()});
    };
    for (const auto& commit : group.commits) {
        add(commit.header_and_meta);
        for (std::size_t i = 0; i < commit.request.batch.bodies.size(); ++i) {
            add(commit.heads[i]);
            const auto* rest = staged(commit.request.batch.bodies[i]);
            if (rest && is_inline(commit.header.partition, *rest))
                for (const auto& frame : rest->frames()) add(frame);
        }
    }
    if (auto written = segment_->write_at(parts, end_.offset); !written) {
        // Commits at the group's beginning may stand there whole, but are answered as if nothing had happened: a
        // restart must not find them.
        if (auto cut = cut_segment(); !cut) return cut;
        return written;
    }
    directory_.disk().reached(Step::group_written);
    if (auto synced = segment_->sync(Sync::group); !synced) return directory_.health().stop(synced.error());
    directory_.disk().reached(Step::group_synced);
    end_.offset += group.octets;
    return {};
}

// Cuts the segment to what is committed.
Result<> Committer::cut_segment() {
    allocated_ = end_.offset;
    if (auto cut = segment_->truncate(end_.offset); !cut) return directory_.health().stop(cut.error());
    if (auto synced = segment_->sync_metadata(Sync::segment_cut); !synced)
        return directory_.health().stop(synced.error());
    return {};
}

// The log has the group. The index follows, and only then does anybody hear of it. If the index fails, the answer is
// io, because the next start makes the group true.
Result<> Committer::index(Group& group) {
    const SegmentId segment{end_.segment, 0};
    std::vector<std::pair<const Prepared*, std::uint64_t>> placed;  // and where its bodies begin
    placed.reserve(group.commits.size());
    std::uint64_t offset = group.begin;
    bool unplaced = std::ranges::any_of(group.commits, [](const auto& commit) { return !commit.unplaced.empty(); });
    std::unordered_map<BodyId, BodyPlace> added;  // a later commit of the same group may have erased them
    for (const auto& commit : group.commits) {
        std::uint64_t body_offset = offset + kRecordHeader + commit.header.meta_octets;
        placed.emplace_back(&commit, body_offset);
        table_.add_record(segment, kRecordHeader + commit.header.meta_octets);
        for (const auto& body : commit.meta.bodies) {
            const auto place = body.place(segment, body_offset);
            table_.add_body(place);
            shared_.add(commit.header.partition, body);
            if (unplaced) added[body.id] = place;
            body_offset += body.inline_octets;
        }
        offset += commit.header.total();
    }
    // Keys that come in their order are inserted beside each other, which is a quarter cheaper. Within a partition the
    // log's order stays.
    std::ranges::sort(placed, {}, [](const auto& one) { return std::pair(one.first->header.partition, one.second); });
    for (const auto& [commit, body_offset] : placed)
        Index::stage(unindexed_, commit->header.partition, commit->meta, segment, body_offset);
    if (auto erased = index_erased(group, added); !erased) return directory_.health().stop(erased.error());
    table_.stage(unindexed_);
    if (auto written = update_index(); !written) return written;
    if (known_.size() > kKnownChanges) known_.clear();
    for (const auto& [partition, number] : group.changes) known_.insert_or_assign(partition, number);
    directory_.disk().reached(Step::group_indexed);
    return {};
}

Result<> Committer::index_erased(Group& group, const std::unordered_map<BodyId, BodyPlace>& added) {
    for (const auto& commit : group.commits) {
        auto erase = [&](BodyId id, const BodyPlace& place) {
            table_.erase_body(place);
            shared_.erase(unindexed_, commit.header.partition, id, place);
        };
        // Counted only: no hole may be made in the last group, because a restart would take it for torn.
        for (auto id : commit.unplaced)
            if (auto it = added.find(id); it != added.end()) erase(id, it->second);
        for (const auto& [id, place] : commit.freed) erase(id, place);
    }
    for (auto shared : staging_.released.take()) shared_.release(unindexed_, shared);
    auto gone = shared_.settle(unindexed_);
    if (!gone) return pass_on(gone);
    for (const auto& one : *gone) table_.erase_body(one.place);
    group.unshared = std::move(*gone);
    return {};
}

void Committer::finish(Group& group) {
    ++groups_;
    commits_ += group.commits.size() - group.shared.size();
    for (auto& commit : group.commits) {
        commit.request.batch.bodies.clear();  // so that the session is a large file's last owner: unlinking takes time
        commit.request.done(commit.change);
    }
    directory_.disk().reached(Step::group_answered);
    std::vector<PartitionId> partitions;
    for (const auto& [partition, number] : group.changes) partitions.push_back(partition);
    watches_.changed(partitions);
    reclaim(group);
}

// Writes what the index lacks.
Result<> Committer::update_index() {
    if (unindexed_.Count() > 0) {
        auto position = end_;
        position.next_body = next_body_;
        if (auto written = index_.write(unindexed_, position); !written)
            return directory_.health().stop(written.error());
        unindexed_.Clear();
    }
    std::lock_guard guard(durable_mutex_);
    durable_ = end_;
    return {};
}

void Committer::reclaim(const Group& group) {
    for (const auto& commit : group.commits)
        for (const auto& [id, place] : commit.freed) reclaims_.free(pool_, commit.header.partition, id, place);
    for (const auto& [id, place] : group.unshared) reclaims_.free(pool_, kSharedBodies, id, place);
}

void Committer::fail_all(Group& group, const Error& error) {
    short_of_room_ = error.code() == Errc::no_space;
    directory_.health().set(Health::Part::log,
                            short_of_room_ ? "the disk is full: nothing can be written" : error.detail());
    for (auto& commit : group.commits) {
        commit.request.batch.bodies.clear();  // as in finish()
        commit.request.done(std::unexpected(error));
    }
}

}  // namespace poplar::engine::local
