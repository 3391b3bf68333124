// What the tests of net/ (and of the sessions above it) share: loops on threads, waiting for a coroutine, certificates.
#pragma once

#include "net/connection.h"
#include "net/loop.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <string>
#include <utility>

namespace relais::net {

/// Runs a coroutine on a pool's loop (started) and waits for its value on the calling thread.
template <class T>
T run_on(Loop& loop, asio::awaitable<T> coroutine) {
  return asio::co_spawn(loop.context(), std::move(coroutine), asio::use_future).get();
}

/// A self-signed certificate and key as files in a directory of their own, removed at the end.
class TestCertificate {
 public:
  /// @param names subjectAltName DNS entries; the first is the common name too
  explicit TestCertificate(std::vector<std::string> names);
  ~TestCertificate();
  TestCertificate(const TestCertificate&) = delete;
  TestCertificate& operator=(const TestCertificate&) = delete;
  std::string certificate() const { return directory_ + "/cert.pem"; }
  std::string key() const { return directory_ + "/key.pem"; }
  /// Writes another pair for these names over the files.
  void replace(const std::vector<std::string>& names);

 private:
  std::string directory_;
};

}  // namespace relais::net
