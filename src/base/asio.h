#pragma once
#include <boost/asio.hpp>

namespace poplar {

namespace asio = boost::asio;

/// All that waits runs on an io_context. By its own type, and not as any_io_executor, it is called without an
/// indirection and copied without counting, at each of a session's waits.
using Executor = asio::io_context::executor_type;

/// The return type of every function that may wait. Failures travel inside as values: `Task<Result<Message>>`.
template <class T = void>
using Task = asio::awaitable<T, Executor>;

/// How a Task awaits an operation of Asio's.
inline constexpr asio::use_awaitable_t<Executor> use_awaitable;

}  // namespace poplar
