#pragma once
// Mutual exclusion for coroutines: a waiter is suspended, no thread is blocked, and the lock may be held across
// co_await.
#include <deque>
#include <functional>
#include <mutex>
#include <utility>

#include "base/asio.h"
#include "base/resume.h"

namespace poplar {

/// First come, first served; the lock passes straight to the next waiter, which resumes on its own executor. May be
/// used from any thread. It must outlive its guards and waiters, and a waiter's execution context must outlive its
/// wait. Waiting can't be cancelled: hold the lock briefly.
class AsyncMutex {
public:
    /// Holds the lock until it is destroyed or unlock() is called.
    class [[nodiscard]] Guard {
    public:
        Guard() = default;
        Guard(Guard&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
        Guard& operator=(Guard&& other) noexcept {
            if (this != &other) {
                unlock();
                mutex_ = std::exchange(other.mutex_, nullptr);
            }
            return *this;
        }
        ~Guard() { unlock(); }
        void unlock() {
            if (mutex_ != nullptr) std::exchange(mutex_, nullptr)->pass_on_lock();
        }
        bool owns_lock() const { return mutex_ != nullptr; }

    private:
        friend class AsyncMutex;
        explicit Guard(AsyncMutex* mutex) : mutex_(mutex) {}
        AsyncMutex* mutex_ = nullptr;
    };

    AsyncMutex() = default;
    AsyncMutex(const AsyncMutex&) = delete;
    AsyncMutex& operator=(const AsyncMutex&) = delete;

    Task<Guard> lock() {
        if (try_lock()) co_return Guard(this);
        auto executor = co_await asio::this_coro::executor;
        auto start = [this, executor](auto handler) {
            // A guard travels in the posted function: if that is dropped unrun (its context is being destroyed), the
            // lock goes on to the next waiter instead of staying taken for ever.
            enqueue(resume_on<Guard>(executor, std::move(handler)));
        };
        co_return co_await asio::async_initiate<decltype(use_awaitable), void(Guard)>(std::move(start), use_awaitable);
    }

private:
    using Waiter = std::move_only_function<void(Guard)>;

    bool try_lock() {
        std::lock_guard hold(mutex_);
        return !std::exchange(locked_, true);
    }

    void enqueue(Waiter waiter) {
        {
            std::lock_guard hold(mutex_);
            if (std::exchange(locked_, true)) return waiters_.push_back(std::move(waiter));
        }
        waiter(Guard(this));  // it was given back in between
    }

    void pass_on_lock() {
        Waiter next;
        {
            std::lock_guard hold(mutex_);
            if (waiters_.empty()) {
                locked_ = false;
                return;
            }
            next = std::move(waiters_.front());
            waiters_.pop_front();
        }
        next(Guard(this));
    }

    std::mutex mutex_;
    bool locked_ = false;
    std::deque<Waiter> waiters_;
};

}  // namespace poplar
