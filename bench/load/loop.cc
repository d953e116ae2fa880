#include "bench/load/loop.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace poplar::bench {

Watched::~Watched() {
    if (previous_) previous_->next_ = next_;
    if (next_) next_->previous_ = previous_;
}

Loop::Loop() : epoll_(epoll_create1(EPOLL_CLOEXEC)), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
    if (!epoll_ || !wake_ || epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0)
        throw std::runtime_error(fmt::format("epoll: {}", std::strerror(errno)));
}

Result<> Loop::watch(int descriptor, Watched& watched) {
    epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.ptr = &watched}};
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor, &event) != 0)
        return fail(Errc::io, fmt::format("epoll_ctl: {}", std::strerror(errno)));
    if (!watched.previous_) {
        watched.next_ = head_.next_;
        watched.previous_ = &head_;
        if (head_.next_) head_.next_->previous_ = &watched;
        head_.next_ = &watched;
    }
    return {};
}

template <class Call>
void Loop::for_each_watched(Call call) {
    // A call may end others than the one it is for; a second round finds what the first one missed.
    for (Watched* watched = head_.next_; watched;) {
        Watched* next = watched->next_;
        call(*watched);
        watched = next;
    }
}

void Loop::run(const std::function<void()>& each_turn) {
    std::array<epoll_event, 256> events;
    Clock::time_point next_second = Clock::now() + std::chrono::seconds(1);
    while (!stopping()) {
        int count = epoll_wait(epoll_.get(), events.data(), events.size(), milliseconds_to_wait());
        now_ = Clock::now();
        for (int i = 0; i < count; ++i)
            if (events[i].data.ptr) static_cast<Watched*>(events[i].data.ptr)->on_events(events[i].events);
        if (each_turn) each_turn();
        run_timers();
        if (now_ >= next_second) {
            for_each_watched([](Watched& watched) { watched.on_second(); });
            next_second = now_ + std::chrono::seconds(1);
        }
    }
    for_each_watched([](Watched& watched) { watched.on_stop(); });
    for (const Timer& timer : std::exchange(timers_, {})) timer.waiter.resume();
}

void Loop::stop() {
    stopping_.store(true, std::memory_order_relaxed);
    std::uint64_t one = 1;
    [[maybe_unused]] auto written = ::write(wake_.get(), &one, sizeof one);
}

void Loop::add_timer(Clock::time_point when, std::coroutine_handle<> waiter) {
    timers_.push_back({when, waiter});
    std::push_heap(timers_.begin(), timers_.end(), std::greater<>());
}

void Loop::run_timers() {
    while (!timers_.empty() && timers_.front().when <= now_) {
        std::pop_heap(timers_.begin(), timers_.end(), std::greater<>());
        auto waiter = timers_.back().waiter;
        timers_.pop_back();
        waiter.resume();
    }
}

int Loop::milliseconds_to_wait() const {
    if (timers_.empty()) return 500;
    auto left = std::chrono::ceil<std::chrono::milliseconds>(timers_.front().when - Clock::now()).count();
    return static_cast<int>(std::clamp<long>(left, 0, 500));
}

}  // namespace poplar::bench
