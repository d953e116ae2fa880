#pragma once
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <vector>

#include "base/asio.h"

namespace poplar::test {

/// Runs what is ready in an order that the seed decides, where io_context takes the oldest first: steps that wait for
/// nothing but their turn are permuted. What other threads post joins in when it comes.
class ShuffledContext : public asio::execution_context {
    struct State {
        std::mutex mutex;
        std::condition_variable changed;
        std::vector<std::move_only_function<void()>> ready;
        std::size_t work = 0;  // tracked: somebody will post yet
    };

public:
    explicit ShuffledContext(std::uint64_t seed) : random_(seed) {}
    ~ShuffledContext() {
        shutdown();
        destroy();
    }

    class Executor {
    public:
        Executor(ShuffledContext& context, bool tracked) : context_(&context), tracked_(tracked) { count(1); }
        Executor(const Executor& other) noexcept : context_(other.context_), tracked_(other.tracked_) { count(1); }
        Executor& operator=(const Executor& other) noexcept {
            if (this == &other) return *this;
            count(-1);
            context_ = other.context_;
            tracked_ = other.tracked_;
            count(1);
            return *this;
        }
        ~Executor() { count(-1); }

        template <class Function>
        void execute(Function function) const {
            std::lock_guard guard(context_->state_.mutex);
            context_->state_.ready.push_back(std::move(function));
            context_->state_.changed.notify_one();
        }

        asio::execution_context& query(asio::execution::context_t) const noexcept { return *context_; }
        static constexpr asio::execution::blocking_t query(asio::execution::blocking_t) noexcept {
            return asio::execution::blocking.never;
        }
        asio::execution::outstanding_work_t query(asio::execution::outstanding_work_t) const noexcept {
            if (tracked_) return asio::execution::outstanding_work.tracked;
            return asio::execution::outstanding_work.untracked;
        }
        Executor require(asio::execution::blocking_t::never_t) const { return *this; }
        Executor require(asio::execution::outstanding_work_t::tracked_t) const { return {*context_, true}; }
        Executor require(asio::execution::outstanding_work_t::untracked_t) const { return {*context_, false}; }
        bool operator==(const Executor& other) const noexcept { return context_ == other.context_; }

    private:
        void count(int change) const {
            if (!tracked_) return;
            std::lock_guard guard(context_->state_.mutex);
            context_->state_.work += static_cast<std::size_t>(change);
            if (context_->state_.work == 0) context_->state_.changed.notify_one();
        }
        ShuffledContext* context_;
        bool tracked_;
    };
    Executor get_executor() { return {*this, false}; }

    /// Until nothing is ready and nobody has work under way.
    void run() {
        for (;;) {
            std::move_only_function<void()> step;
            {
                std::unique_lock lock(state_.mutex);
                state_.changed.wait(lock, [this] { return !state_.ready.empty() || state_.work == 0; });
                if (state_.ready.empty()) return;
                auto chosen = state_.ready.begin() + static_cast<std::ptrdiff_t>(random_() % state_.ready.size());
                step = std::move(*chosen);
                *chosen = std::move(state_.ready.back());
                state_.ready.pop_back();
            }
            step();
        }
    }

private:
    State state_;
    std::mt19937_64 random_;
};

}  // namespace poplar::test
