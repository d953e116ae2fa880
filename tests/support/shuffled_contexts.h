#pragma once
#include <algorithm>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "base/asio.h"

namespace poplar::test {

/// An io_context for each party, as if each had a thread. All run on one, and the seed decides whose step is next. Work
/// that other threads post joins in when it comes.
class ShuffledContexts {
public:
    explicit ShuffledContexts(std::uint64_t seed) : random_(seed) {}

    asio::io_context& add() { return *contexts_.emplace_back(std::make_unique<asio::io_context>(1)); }

    /// Until nobody has work under way.
    void run() {
        for (;;) {
            std::ranges::shuffle(contexts_, random_);
            bool under_way = false, went_on = false;
            for (auto at = contexts_.begin(); at != contexts_.end() && !went_on; ++at) {
                auto& context = **at;
                context.restart();
                went_on = context.poll_one() != 0;
                under_way |= went_on || !context.stopped();
            }
            if (!under_way) return;
            if (!went_on) std::this_thread::yield();  // for another thread
        }
    }

private:
    std::vector<std::unique_ptr<asio::io_context>> contexts_;
    std::mt19937_64 random_;
};

}  // namespace poplar::test
