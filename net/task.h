// The coroutine types of everything that does I/O.
#pragma once

#include "base/result.h"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>

namespace relais::net {

namespace asio = boost::asio;

/// A coroutine that gives a T or an Error. It runs on the thread of the Loop that awaits it.
/// No reference or view parameter to a Task may outlive the call that awaits it.
template <class T>
using Task = asio::awaitable<Result<T>>;

using Deadline = std::chrono::steady_clock::time_point;
inline Deadline in(std::chrono::steady_clock::duration duration) { return std::chrono::steady_clock::now() + duration; }

}  // namespace relais::net
