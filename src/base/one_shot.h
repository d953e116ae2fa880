#pragma once
// One result that one coroutine waits for and another, on any thread, sends.
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "base/asio.h"
#include "base/error.h"
#include "base/resume.h"

namespace poplar {

/// The receiver resumes on its own executor. The wait can't be cancelled, so that what the sender does for the
/// receiver always comes to its end; a sender destroyed without sending sends `cancelled`. The receiver's execution
/// context must outlive its wait.
template <class T>
class OneShot {
    struct State {
        std::mutex mutex;
        std::optional<Result<T>> value;
        std::move_only_function<void(Result<T>)> waiter;
    };

public:
    class Sender {
    public:
        Sender(Sender&&) noexcept = default;
        Sender& operator=(Sender&& other) noexcept {
            std::swap(state_, other.state_);
            return *this;
        }
        ~Sender() {
            if (state_) send(fail(Errc::cancelled, "nobody was left to answer"));
        }
        /// Once.
        void send(Result<T> value) {
            auto state = std::move(state_);
            std::move_only_function<void(Result<T>)> waiter;
            {
                std::lock_guard lock(state->mutex);
                if (state->waiter)
                    waiter = std::move(state->waiter);
                else
                    state->value.emplace(std::move(value));
            }
            if (waiter) waiter(std::move(value));
        }

    private:
        friend class OneShot;
        explicit Sender(std::shared_ptr<State> state) : state_(std::move(state)) {}
        std::shared_ptr<State> state_;
    };

    /// To be called once.
    Sender sender() { return Sender(state_); }

    /// To be called once; this object must live until it returns.
    Task<Result<T>> receive() {
        if (auto value = take()) co_return std::move(*value);
        auto executor = co_await asio::this_coro::executor;
        auto start = [state = state_, executor](auto handler) {
            std::move_only_function<void(Result<T>)> waiter = resume_on<Result<T>>(executor, std::move(handler));
            {
                std::lock_guard lock(state->mutex);
                if (!state->value) {
                    state->waiter = std::move(waiter);
                    return;
                }
            }
            waiter(std::move(*state->value));
        };
        co_return co_await asio::async_initiate<decltype(use_awaitable), void(Result<T>)>(std::move(start),
                                                                                          use_awaitable);
    }

private:
    std::optional<Result<T>> take() {
        std::lock_guard lock(state_->mutex);
        return std::move(state_->value);
    }

    std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace poplar
