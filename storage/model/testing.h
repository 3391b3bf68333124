// Helpers for tests of the mailbox model.
#pragma once

#include "net/task.h"
#include "storage/store.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <exception>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace relais::storage::testing {

/// The calling thread's event loop. It lives as long as the process: a committer that has just posted to it may still hold its lock.
inline net::asio::io_context& test_loop() {
  static std::mutex mutex;
  static std::list<net::asio::io_context> loops;
  thread_local net::asio::io_context* const own = [] {
    const std::lock_guard lock(mutex);
    return &loops.emplace_back();
  }();
  return *own;
}

/// Runs a Task to its end.
template <class T>
Result<T> await(net::Task<T> task) {
  std::optional<Result<T>> out;
  net::asio::co_spawn(test_loop(), std::move(task), [&](std::exception_ptr thrown, Result<T> result) {
    if (thrown) std::rethrow_exception(thrown);
    out.emplace(std::move(result));
  });
  test_loop().run();
  test_loop().restart();
  return std::move(*out);
}

/// A small message; equal numbers give equal octets.
inline std::string sample_message(unsigned number) {
  const auto n = std::to_string(number);
  return "From: Alice <alice@example.org>\r\nTo: Bob <bob@example.org>\r\nSubject: number " + n +
         "\r\nDate: Mon, 5 Jan 2026 10:00:00 +0100\r\nMessage-ID: <" + n + "@example.org>\r\n\r\nbody " + n + "\r\n" + std::string(number % 300, 'x') + "\r\n";
}

inline AppendMessage append_message(PreparedPtr message) {
  AppendMessage append;
  append.message = std::move(message);
  return append;
}

}  // namespace relais::storage::testing
