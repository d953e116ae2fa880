#pragma once
// Coroutines of the load tool: lazily started, resumed on the one thread of their Loop. A frame comes from a list of
// free ones, so that a call costs no allocation once the tool is warm.
#include <array>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <new>
#include <utility>
#include <variant>
#include <vector>

namespace poplar::bench {

/// Free coroutine frames of this thread, by size in steps of 64 octets.
class FramePool {
public:
    static void* take(std::size_t size) {
        std::size_t shelf = (size + 63) / 64;
        if (shelf >= kShelves) return ::operator new(size);
        auto& frames = free()[shelf];
        if (frames.empty()) return ::operator new(shelf * 64);
        void* frame = frames.back();
        frames.pop_back();
        return frame;
    }
    static void give(void* frame, std::size_t size) {
        std::size_t shelf = (size + 63) / 64;
        if (shelf >= kShelves) return ::operator delete(frame);
        free()[shelf].push_back(frame);
    }

private:
    static constexpr std::size_t kShelves = 32;
    struct Shelves : std::array<std::vector<void*>, kShelves> {
        ~Shelves() {
            for (auto& frames : *this)
                for (void* frame : frames) ::operator delete(frame);
        }
    };
    static Shelves& free() {
        thread_local Shelves shelves;
        return shelves;
    }
};

struct PooledFrame {
    static void* operator new(std::size_t size) { return FramePool::take(size); }
    static void operator delete(void* frame, std::size_t size) { FramePool::give(frame, size); }
};

/// A call that may wait. It starts when it is awaited, once; its frame goes when the Task does.
template <class T>
class [[nodiscard]] Task {
public:
    struct promise_type : PooledFrame {
        Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
        std::suspend_always initial_suspend() noexcept { return {}; }
        auto final_suspend() noexcept {
            struct Return {
                bool await_ready() noexcept { return false; }
                std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> self) noexcept {
                    return self.promise().caller;
                }
                void await_resume() noexcept {}
            };
            return Return{};
        }
        void return_value(T result) { value.template emplace<1>(std::move(result)); }
        void unhandled_exception() { std::terminate(); }

        std::coroutine_handle<> caller;
        std::variant<std::monostate, T> value;
    };

    Task(Task&& other) noexcept : frame_(std::exchange(other.frame_, {})) {}
    Task& operator=(Task&&) = delete;
    ~Task() {
        if (frame_) frame_.destroy();
    }

    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> caller) noexcept {
        frame_.promise().caller = caller;
        return frame_;
    }
    T await_resume() { return std::move(std::get<1>(frame_.promise().value)); }

private:
    explicit Task(std::coroutine_handle<promise_type> frame) : frame_(frame) {}
    std::coroutine_handle<promise_type> frame_;
};

/// A coroutine nobody waits for: it runs when called and frees itself at its end.
struct Detached {
    struct promise_type : PooledFrame {
        Detached get_return_object() { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { std::terminate(); }
    };
};

}  // namespace poplar::bench
