#pragma once
#include <utility>

#include "base/asio.h"

namespace poplar {

/// Makes a function that may be called once, on any thread, with a `Value`: `handler` then runs with it on `executor`,
/// whose context does not run out of work until then. Once called it no longer touches that context, which may be
/// gone by the time the function is destroyed.
template <class Value, class Handler>
auto resume_on(const asio::any_io_executor& executor, Handler handler) {
    return [executor, alive = asio::make_work_guard(executor), handler = std::move(handler)](Value value) mutable {
        auto resume = [alive = std::move(alive), handler = std::move(handler), value = std::move(value)]() mutable {
            std::move(handler)(std::move(value));
        };
        asio::post(executor, std::move(resume));
    };
}

}  // namespace poplar
