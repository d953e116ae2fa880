#pragma once
// Gives turns to many that wait for few places: of password hashing, of reading from the disk.
#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <list>
#include <optional>
#include <unordered_map>
#include <utility>

namespace poplar {

/// The record of somebody who waits. `good`: they have been here before and did nothing wrong; `bad`: they have just
/// failed.
enum class Standing : std::uint8_t { good, unknown, bad };

/// Under which shares a job waits. `outer` is a peer's network, `inner` the peer in it, each as a number (a hash of its
/// text, say): two that share a number share their turns, nothing worse.
struct Share {
    Standing standing = Standing::unknown;
    std::uint64_t outer = 0, inner = 0;
};

/// Jobs that wait, each under its share. The outer shares of a standing take turns, and so do the inner ones of an
/// outer share; first come, first served holds within an inner share only. So nobody waits for more than one job of
/// each other share, however many jobs that has. Of eight turns five are for good standing first, two for unknown, one
/// for bad. Not to be called from several threads at once.
template <class Job>
class FairQueue {
public:
    /// `whole`: jobs that may wait.
    explicit FairQueue(std::size_t whole) : whole_(whole) {}

    /// Adds a job. If too many wait now, it returns the one that has to go: the last of the largest share of the worst
    /// standing, which may be the new one.
    [[nodiscard]] std::optional<Job> push(const Share& share, Job job) {
        auto& ring = rings_[static_cast<std::size_t>(share.standing)];
        auto& outer = ring.at(share.outer);
        outer.inner.at(share.inner).jobs.push_back(std::move(job));
        ++outer.size;
        ++ring.size;
        if (++size_ <= whole_) return std::nullopt;
        return drop();
    }

    /// The job whose turn it is, if there is one.
    std::optional<Job> pop() {
        if (size_ == 0) return std::nullopt;
        static constexpr std::array kTurns{Standing::good, Standing::unknown, Standing::good, Standing::good,
                                           Standing::bad,  Standing::good,    Standing::good, Standing::unknown};
        auto* ring = &rings_[static_cast<std::size_t>(kTurns[turn_++ % kTurns.size()])];
        if (ring->size == 0) ring = std::ranges::find_if(rings_, [](const auto& one) { return one.size != 0; });
        auto& outer = ring->flows.front();
        auto& inner = outer.inner.flows.front();
        auto job = std::move(inner.jobs.front());
        inner.jobs.pop_front();
        outer.inner.pass(inner.jobs.empty());
        --outer.size;
        ring->pass(outer.size == 0);
        --ring->size;
        --size_;
        return job;
    }

    std::size_t size() const { return size_; }

private:
    /// Flows in the order of their turns.
    template <class Flow>
    struct Ring {
        std::list<Flow> flows;
        std::unordered_map<std::uint64_t, typename std::list<Flow>::iterator> by_key;
        std::size_t size = 0;  ///< jobs

        /// The flow of this key, the last in the order if it is new.
        Flow& at(std::uint64_t key) {
            auto [found, is_new] = by_key.try_emplace(key);
            if (is_new) {
                flows.emplace_back().key = key;
                found->second = std::prev(flows.end());
            }
            return *found->second;
        }
        /// The first flow has had its turn.
        void pass(bool is_empty) {
            if (is_empty)
                erase(flows.begin());
            else
                flows.splice(flows.end(), flows, flows.begin());
        }
        void erase(typename std::list<Flow>::iterator flow) {
            by_key.erase(flow->key);
            flows.erase(flow);
        }
    };
    struct Inner {
        std::uint64_t key = 0;
        std::deque<Job> jobs;
    };
    struct Outer {
        std::uint64_t key = 0;
        std::size_t size = 0;
        Ring<Inner> inner;
    };

    Job drop() {
        auto& ring = *std::find_if(rings_.rbegin(), rings_.rend(), [](const auto& one) { return one.size != 0; });
        auto outer = std::ranges::max_element(ring.flows, {}, [](const Outer& one) { return one.size; });
        auto inner = std::ranges::max_element(outer->inner.flows, {}, [](const Inner& one) { return one.jobs.size(); });
        auto job = std::move(inner->jobs.back());
        inner->jobs.pop_back();
        if (inner->jobs.empty()) outer->inner.erase(inner);
        if (--outer->size == 0) ring.erase(outer);
        --ring.size;
        --size_;
        return job;
    }

    const std::size_t whole_;
    std::array<Ring<Outer>, 3> rings_;  ///< by standing
    std::size_t size_ = 0, turn_ = 0;
};

}  // namespace poplar
