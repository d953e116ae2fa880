#pragma once
#include <utility>

#include "base/asio.h"
#include "base/turn.h"

namespace poplar {

/// Makes a function that may be called once, on any thread, with a `Value`: `handler` then runs with it on `executor`.
/// The context does not run out of work until the call has returned, because posting still touches it when `handler`
/// may already be done. After the call it is not touched any more; it may be gone by the time the function is
/// destroyed.
template <class Value, class Handler>
auto resume_on(const Executor& executor, Handler handler) {
    return [executor, alive = asio::make_work_guard(executor), handler = std::move(handler)](Value value) mutable {
        auto resume = [handler = std::move(handler), value = std::move(value)]() mutable {
            turn::begin();
            std::move(handler)(std::move(value));
        };
        asio::post(executor, std::move(resume));
        alive.reset();
    };
}

}  // namespace poplar
