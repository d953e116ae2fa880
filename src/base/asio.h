#pragma once
#include <boost/asio.hpp>

namespace poplar {

namespace asio = boost::asio;

/// What every function that may wait returns. Failures travel inside as values: `Task<Result<Message>>`.
template <class T = void>
using Task = asio::awaitable<T>;

}  // namespace poplar
