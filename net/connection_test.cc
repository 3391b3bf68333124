// Connections over loopback: data both ways, limits, deadlines, TLS, the graceful stop.
#include "net/connection.h"

#include "net/listener.h"
#include "net/test_support.h"
#include "net/tls.h"

#include <gtest/gtest.h>

#include <future>

namespace relais::net {
namespace {

using namespace std::chrono_literals;

constexpr auto kSoon = 30s;  // for what must not fail; never waited out

/// A listener on a free port of 127.0.0.1 with its loops.
class Server {
 public:
  explicit Server(SessionStarter starter, ListenerOptions options = {}, unsigned threads = 2) : loops(threads) {
    options.name = "test";
    options.address = "127.0.0.1";
    auto opened = Listener::open(loops, std::move(options), std::move(starter));
    if (!opened) throw std::runtime_error(opened.error().text);
    listener = std::move(*opened);
    loops.start();
    listener->start();
  }
  std::uint16_t port() const { return listener->port(); }

  LoopPool loops;
  std::unique_ptr<Listener> listener;
};

asio::awaitable<void> echo(std::unique_ptr<Connection> connection) {
  for (;;) {
    if (auto woken = co_await connection->fill(in(kSoon), Awaiting::command); !woken) break;
    connection->queue(connection->buffered());
    connection->consume(connection->buffered().size());
    if (!co_await connection->flush(in(kSoon))) break;
  }
}

/// Reads until n octets have come or the stream ends.
Task<std::string> read_exactly(Connection& connection, std::size_t n) {
  std::string got;
  while (got.size() < n) {
    if (connection.buffered().empty()) RELAIS_CO_TRY_VOID(co_await connection.fill(in(kSoon), Awaiting::data));
    const auto piece = connection.buffered().substr(0, n - got.size());
    got.append(piece);
    connection.consume(piece.size());
  }
  co_return got;
}

Task<std::string> exchange(Connection& connection, std::string text) {
  connection.queue(text);
  RELAIS_CO_TRY_VOID(co_await connection.flush(in(kSoon)));
  co_return co_await read_exactly(connection, text.size());
}

/// Connects from a loop of its own and runs the body there.
template <class T>
T as_client(std::uint16_t port, std::function<asio::awaitable<T>(Connection&)> body) {
  LoopPool loops(1);
  loops.start();
  auto dialogue = [&]() -> asio::awaitable<T> {
    auto connection = co_await connect(loops.at(0), "127.0.0.1", port, in(kSoon));
    if (!connection) throw std::runtime_error(connection.error().detail);
    co_return co_await body(**connection);
  };
  return run_on(loops.at(0), dialogue());
}

TEST(Connection, EchoesOverTcp) {
  Server server(echo);
  auto body = [](Connection& connection) -> asio::awaitable<Result<std::string>> { co_return co_await exchange(connection, "hello"); };
  const auto got = as_client<Result<std::string>>(server.port(), body);
  ASSERT_TRUE(got);
  EXPECT_EQ(*got, "hello");
}

TEST(Connection, StartTls) {
  const TestCertificate files({"mail.example.org"});
  auto context = TlsContext::server({{files.certificate(), files.key()}});
  ASSERT_TRUE(context) << context.error().text;
  ListenerOptions options;
  options.implicit_tls = *context;
  Server server(echo, options);
  auto client = TlsContext::client(files.certificate(), true);
  ASSERT_TRUE(client);
  auto body = [&](Connection& connection) -> asio::awaitable<Result<std::string>> {
    RELAIS_CO_TRY_VOID(co_await connection.start_tls_client(**client, "mail.example.org", in(kSoon)));
    EXPECT_EQ(connection.tls()->version, "TLSv1.3");
    co_return co_await exchange(connection, "hello");
  };
  const auto got = as_client<Result<std::string>>(server.port(), body);
  ASSERT_TRUE(got) << got.error().detail;
  EXPECT_EQ(*got, "hello");
}

}  // namespace
}  // namespace relais::net
