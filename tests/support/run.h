#pragma once
#include <exception>
#include <optional>

#include "base/asio.h"

namespace poplar::test {

/// Runs `task` to its end on a context of its own and returns what it returned: `auto r = run(store.totals(id));`
template <class T>
T run(Task<T> task) {
    asio::io_context context(1);
    std::optional<T> value;
    // co_spawn wants a result it can default-construct: an optional always is.
    auto wrapped = [](Task<T> inner) -> Task<std::optional<T>> { co_return co_await std::move(inner); };
    asio::co_spawn(context, wrapped(std::move(task)), [&](std::exception_ptr failure, std::optional<T> result) {
        if (failure) std::rethrow_exception(failure);
        value = std::move(result);
    });
    context.run();
    return std::move(*value);
}

inline void run(Task<void> task) {
    asio::io_context context(1);
    asio::co_spawn(context, std::move(task), [](std::exception_ptr failure) {
        if (failure) std::rethrow_exception(failure);
    });
    context.run();
}

}  // namespace poplar::test
