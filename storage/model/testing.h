// Helpers for tests of the mailbox model.
#pragma once

#include "net/task.h"
#include "storage/store.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace relais::storage::testing {

/// Runs a Task to its end on an event loop of its own.
template <class T>
Result<T> await(net::Task<T> task) {
  net::asio::io_context io;
  std::optional<Result<T>> out;
  net::asio::co_spawn(io, std::move(task), [&](std::exception_ptr thrown, Result<T> result) {
    if (thrown) std::rethrow_exception(thrown);
    out.emplace(std::move(result));
  });
  io.run();
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
