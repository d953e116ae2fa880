// The copier's thread: chooses, copies, moves bodies over, unlinks; waits where the disk has no room, and paces itself.
#include "engine/local/copier.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/background.h"
#include "base/log.h"
#include "base/steady.h"
#include "engine/local/log_files.h"

namespace poplar::engine::local {

namespace {

constexpr std::uint64_t kBlock = 4096;         // what the disk gives space by
constexpr std::size_t kMoves = 64;             // bodies whose place changes between two groups of commits
constexpr std::uint64_t kLookAgainAfter = 16;  // segments written since
// It works in bursts so short that a thread that waits for the processor meanwhile hardly notices.
constexpr std::chrono::microseconds kBurst(250);
constexpr std::uint64_t kBurstOctets = 64u << 10;

std::string range(const std::vector<CopyCandidate>& sources) {
    auto first = sources.front().id.number, last = sources.back().last;
    return first == last ? fmt::format("{}", first) : fmt::format("{}-{}", first, last);
}

}  // namespace

Copier::~Copier() {
    {
        std::lock_guard guard(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
}

void Copier::start() {
    counts_.state = options_.copy_rate == 0 ? "off" : "resting";
    if (options_.copy_rate > 0)
        thread_ = std::thread([this] {
            become_background_thread("copier");
            run();
        });
}

void Copier::run() {
    for (;;) {
        {
            std::unique_lock lock(mutex_);
            if (wake_.wait_for(lock, options_.copy_every, [this] { return stopping_; })) return;
        }
        for (;;) {
            auto copied = copy_once(Haste::paced);
            if (!copied && copied.error().code() != Errc::cancelled)
                log::warning("store.copy_failed", {{"reason", copied.error().detail()}});
            if (!copied || !*copied) break;
        }
    }
}

Result<Copier::Candidates> Copier::candidates() const {
    Candidates found;
    auto current = committer_.durable_end().segment;
    for (const auto& [id, space] : table_.rows()) {
        auto used = directory_.segment_disk_octets(id);
        if (!used && used.error().code() == Errc::not_found) continue;  // verify tells of it
        if (!used) return pass_on(used);
        CopyCandidate one{id, space.last, *used, space.about_live(), true};
        found.used += one.used;
        if (id.number >= current) {
            found.live += std::min(one.used, space.most_live());
            continue;
        }
        found.live += std::min(one.used, one.live);
        found.list.push_back(one);
    }
    return found;
}

void Copier::mark_passed_over(std::vector<CopyCandidate>& list) const {
    auto current = committer_.durable_end().segment;
    for (auto& one : list) {
        auto it = passed_over_.find(one.id);
        auto space = table_.find(one.id);
        if (it != passed_over_.end() && space)
            one.free = space->live_octets < it->second.live_octets || current >= it->second.until;
    }
}

CopyRules Copier::rules() const {
    CopyRules rules{options_.copy_dead_percent, options_.segment_size, 0};
    if (auto space = free_space(directory_.disk(), directory_.root()); space && *space > options_.min_free_space)
        rules.room = *space - options_.min_free_space;
    return rules;
}

Result<bool> Copier::copy_once(Haste haste) {
    std::lock_guard working(working_);
    if (broken_ || directory_.health().stopped()) return false;
    auto all = candidates();
    if (!all) return pass_on(all);
    mark_passed_over(all->list);
    auto choice = choose_copy(all->list, rules());
    if (!choice) return false;
    auto begin = all->list.begin() + static_cast<std::ptrdiff_t>(choice->first);
    std::vector<CopyCandidate> sources(begin, begin + static_cast<std::ptrdiff_t>(choice->count));
    const auto until = erased_until({all->list.begin(), begin});
    set_state("copying segment " + range(sources));
    auto copied = copy(sources, until, pace(haste));
    if (copied) {
        set_state("resting");
        return copied;
    }
    switch (copied.error().code()) {
        case Errc::cancelled: set_state("stopped"); break;
        case Errc::no_space: set_state("waiting for space on the disk"); break;
        case Errc::corrupt:
            for (const auto& one : sources) passed_over_[one.id] = {0, ~0ull};
            set_state("resting");
            break;
        default: broken_ = true; set_state("stopped until a restart: " + copied.error().detail());
    }
    return copied;
}

std::uint64_t Copier::erased_until(std::span<const CopyCandidate> before) const {
    std::uint64_t until = ~0ull;
    for (const auto& one : before) until = std::min(until, table_.find(one.id).value_or(SegmentSpace()).as_of);
    return until;
}

Result<> Copier::copy_all_dead(const std::function<bool()>& go_on) {
    if (auto begun = committer_.begin_segment(); !begun) return begun;
    const auto end = committer_.durable_end().segment;
    auto wait = [&go_on, wait = pace(Haste::paced)](std::uint64_t octets) mutable { return go_on() && wait(octets); };
    for (std::uint64_t next = 0;;) {
        std::lock_guard working(working_);
        if (broken_ || directory_.health().stopped()) return fail(Errc::busy, "segments can't be copied now");
        auto all = candidates();
        if (!all) return pass_on(all);
        auto it = std::ranges::find_if(all->list, [&](const auto& one) { return one.id.number >= next; });
        if (it == all->list.end() || it->id.number >= end) return {};
        next = it->last + 1;
        set_state("copying segment " + range({*it}));
        auto copied = copy({*it}, erased_until({all->list.begin(), it}), wait, Want::nothing_dead);
        set_state("resting");
        if (copied) continue;
        if (copied.error().code() == Errc::io) {
            broken_ = true;
            set_state("stopped until a restart: " + copied.error().detail());
        }
        return pass_on(copied);
    }
}

// True: something was copied, or found not to be worth it: look again.
Result<bool> Copier::copy(const std::vector<CopyCandidate>& sources, std::uint64_t erased_until,
                          const SegmentCopy::Pace& wait, Want want) {
    std::vector<SegmentId> ids;
    std::uint64_t used = 0;
    SegmentHeader header{.mark = directory_.mark(), .id = sources.front().id, .last = sources.back().last};
    for (const auto& one : sources) {
        ids.push_back(one.id);
        used += one.used;
        header.id.pass = std::max(header.id.pass, one.id.pass + 1);
    }
    if (auto flushed = flush_past(sources.back().last); !flushed) return pass_on(flushed);
    auto first = File::open(directory_.disk(), directory_.segment(ids.front()), File::Mode::read);
    if (!first) return pass_on(first);
    auto first_header = directory_.read_header(*first);
    if (!first_header) return pass_on(first_header);
    header.first_sequence = first_header->first_sequence;
    header.as_of = flushed_sequence_;
    header.next_body = next_body_;

    directory_.disk().reached(Step::copy_begun);
    SegmentCopy work(directory_, index_, ids, erased_until);
    auto expected = work.survey(wait);
    if (!expected) return pass_on(expected);
    auto octets = (expected->total() + kBlock - 1) / kBlock * kBlock;
    if (want == Want::nothing_dead && !expected->left_out) return true;
    if (want == Want::nothing_dead && octets > rules().room) return fail(Errc::no_space, "no room for a copy");
    if (want == Want::space && !(worth_copying(used, octets, rules()) && octets <= options_.segment_size + kBlock)) {
        // The guess about their metadata was wrong, or the neighbours only fit together by that guess.
        for (auto id : ids) pass_over(id);
        return true;
    }
    auto written = work.write(header, wait);
    if (!written) return pass_on(written);
    table_.add_segment(header.id, header.last, header.as_of);
    table_.add_copy(header.id, written->meta_octets, written->bodies);
    auto switched = switch_over(header.id, ids, wait);
    // From the renaming on, the copy and its sources are both there: nothing else may be copied until that is over.
    if (!switched)
        return fail(switched.error().code() == Errc::cancelled ? Errc::cancelled : Errc::io, switched.error().detail());
    for (auto id : ids) passed_over_.erase(id);
    pass_over(header.id);  // until something in it dies
    auto now = directory_.segment_disk_octets(header.id);
    std::lock_guard guard(mutex_);
    ++counts_.copies;
    counts_.copied_octets += written->total();
    counts_.freed_octets += used - std::min(used, now ? *now : written->total());
    return true;
}

// Goes to its end even if the copier is to stop, as it moves the places of at most one segment's bodies.
Result<> Copier::switch_over(SegmentId copy, const std::vector<SegmentId>& sources, const SegmentCopy::Pace& pace) {
    std::vector<Committer::Move> moves;
    auto flush = [&]() -> Result<> {
        auto done = when_there_is_room([&] { return committer_.move(moves); });
        moves.clear();
        return done;
    };
    auto move = [&](PartitionId partition, BodyId id, const BodyPlace& from, const BodyPlace& to) -> Result<> {
        moves.push_back({partition, id, from, to});
        (void)pace(0);
        return moves.size() < kMoves ? Result<>() : flush();
    };
    auto moved = find_moves(directory_, index_, copy, sources, move);
    if (!moved) return pass_on(moved);
    if (auto done = flush(); !done) return done;
    auto left = left_behind(index_, table_, sources);
    if (!left) return pass_on(left);
    if (*left) return fail(Errc::corrupt, "the index has bodies in a segment that its records don't speak of");
    for (auto id : sources) table_.remove_segment(id);
    auto stored = when_there_is_room([&] { return committer_.store_table(); });
    if (!stored) return stored;
    directory_.disk().reached(Step::copy_indexed);
    if (auto flushed = index_.flush(Index::FlushMode::wait); !flushed) return flushed;
    directory_.disk().reached(Step::copy_flushed);
    for (auto id : sources)
        if (auto gone = directory_.remove_segment(id); !gone) return gone;
    return {};
}

Result<> Copier::when_there_is_room(const std::function<Result<>()>& work) {
    for (;;) {
        auto done = work();
        if (done || done.error().code() != Errc::no_space) return done;
        std::unique_lock lock(mutex_);
        if (wake_.wait_for(lock, options_.retry, [this] { return stopping_; }))
            return fail(Errc::cancelled, "it stops, and waits for room");
    }
}

Result<> Copier::flush_past(std::uint64_t segment) {
    if (segment < flushed_below_) return {};
    auto end = committer_.durable_end();
    if (auto flushed = index_.flush(Index::FlushMode::wait); !flushed) return flushed;
    flushed_below_ = end.segment;
    flushed_sequence_ = end.next_sequence - 1;
    if (segment >= end.segment) return fail(Errc::cancelled, "the segment is being written");
    return {};
}

// Pauses after each burst for as long as the rate wants, and at least for as long as it has worked.
SegmentCopy::Pace Copier::pace(Haste haste) {
    using Seconds = std::chrono::duration<double>;
    return [this, haste, octets = std::uint64_t(0), begun = SteadyClock::now()](std::uint64_t more) mutable {
        octets += more;
        const Seconds worked = SteadyClock::now() - begun;
        if (octets < kBurstOctets && worked < kBurst) return true;
        std::unique_lock lock(mutex_);
        if (haste == Haste::paced) {
            Seconds rest(
                options_.copy_rate == 0 ? 0 : static_cast<double>(octets) / static_cast<double>(options_.copy_rate));
            wake_.wait_for(lock, std::max(rest, worked), [this] { return stopping_; });
        }
        octets = 0;
        begun = SteadyClock::now();
        return !stopping_;
    };
}

void Copier::pass_over(SegmentId id) {
    auto space = table_.find(id);
    if (space) passed_over_[id] = {space->live_octets, committer_.durable_end().segment + kLookAgainAfter};
}

void Copier::set_state(std::string state) {
    std::lock_guard guard(mutex_);
    counts_.state = std::move(state);
}

Copier::Counts Copier::counts() const {
    Counts counts;
    {
        std::lock_guard guard(mutex_);
        counts = counts_;
    }
    if (auto all = candidates()) {
        counts.used_octets = all->used;
        counts.live_octets = all->live;
    }
    return counts;
}

}  // namespace poplar::engine::local
