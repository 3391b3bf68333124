// What the tests of net/ (and of the sessions above it) share: loops on threads, waiting for a coroutine, certificates.
#pragma once

#include "net/connection.h"
#include "net/dns_records.h"
#include "net/listener.h"
#include "net/loop.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace relais::net {

/// Runs a coroutine on a pool's loop (started) and waits for its value on the calling thread.
template <class T>
T run_on(Loop& loop, asio::awaitable<T> coroutine) {
  return asio::co_spawn(loop.context(), std::move(coroutine), asio::use_future).get();
}

constexpr std::chrono::seconds kSoon{30};  ///< for what must not fail; never waited out

/// A listener on a free port of 127.0.0.1, started, with its loops.
class TestServer {
 public:
  explicit TestServer(SessionStarter starter, ListenerOptions options = {}, unsigned threads = 2);
  std::uint16_t port() const { return listener->port(); }

  LoopPool loops;
  std::unique_ptr<Listener> listener;
};

/// Connects from a loop of its own and runs the body there. The body is a coroutine function; what it captures outlives the call.
template <class Body>
auto as_client(std::uint16_t port, Body body) -> typename std::invoke_result_t<Body&, Connection&>::value_type {
  LoopPool loops(1);
  loops.start();
  auto dialogue = [&]() -> std::invoke_result_t<Body&, Connection&> {
    auto connection = co_await connect(loops.at(0), "127.0.0.1", port, in(kSoon));
    if (!connection) throw std::runtime_error(connection.error().detail);
    co_return co_await body(**connection);
  };
  return run_on(loops.at(0), dialogue());
}

/// Reads n octets. Errors: those of fill.
Task<std::string> read_exactly(Connection& connection, std::size_t n);
/// Reads up to the end of the stream.
asio::awaitable<std::string> read_all(Connection& connection);
/// Sends text and reads as many octets as it has.
Task<std::string> exchange(Connection& connection, std::string text);

/// A self-signed certificate and key as files in a directory of their own, removed at the end.
class TestCertificate {
 public:
  /// @param names subjectAltName DNS entries; the first is the common name too
  /// @param lasts  seconds from now on; below 0: expired that long ago
  explicit TestCertificate(std::vector<std::string> names, long lasts = 24L * 3600);
  /// One that `authority` has issued; the file has the authority's certificate behind it.
  TestCertificate(const TestCertificate& authority, std::vector<std::string> names, long lasts = 24L * 3600);
  ~TestCertificate();
  TestCertificate(const TestCertificate&) = delete;
  TestCertificate& operator=(const TestCertificate&) = delete;
  std::string certificate() const { return directory_ + "/cert.pem"; }
  std::string key() const { return directory_ + "/key.pem"; }
  /// Writes another pair for these names over the files.
  void replace(const std::vector<std::string>& names, long lasts = 24L * 3600);
  /// "3 1 1", "2 0 1", …: a TLSA record that fits it. RFC 6698 §2.1
  TlsaRecord tlsa(std::uint8_t usage, std::uint8_t selector, std::uint8_t matching) const;

 private:
  void make(const std::vector<std::string>& names, long lasts, const TestCertificate* authority);
  std::string directory_;
};

}  // namespace relais::net
