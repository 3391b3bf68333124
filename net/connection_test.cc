// Connections over loopback: data both ways, limits, deadlines, the graceful stop.
#include "net/connection.h"

#include "base/metrics.h"
#include "net/listener.h"
#include "net/loop_impl.h"
#include "net/test_support.h"

#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <latch>
#include <thread>

#include <sys/socket.h>

namespace relais::net {
namespace {

using namespace std::chrono_literals;
using Text = Result<std::string>;

asio::awaitable<void> echo(std::unique_ptr<Connection> connection) {
  for (;;) {
    if (auto woken = co_await connection->fill(in(kSoon), Awaiting::command); !woken) break;
    connection->queue(connection->buffered());
    connection->consume(connection->buffered().size());
    if (!co_await connection->flush(in(kSoon))) break;
  }
}

std::string pattern(std::size_t size) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<char>(i * 2654435761U >> 13);
  return out;
}

TEST(Connection, KnowsBothEnds) {
  std::promise<Endpoints> seen;
  auto session = [&seen](std::unique_ptr<Connection> connection) -> asio::awaitable<void> {
    seen.set_value(connection->endpoints());
    co_return;
  };
  TestServer server(session);
  auto body = [](Connection& connection) -> asio::awaitable<Endpoints> { co_return connection.endpoints(); };
  const auto client = as_client(server.port(), body);
  const auto served = seen.get_future().get();
  EXPECT_EQ(served.peer_address, "127.0.0.1");
  EXPECT_EQ(served.peer_port, client.local_port);
  EXPECT_EQ(served.local_port, server.port());
  EXPECT_EQ(client.peer_port, server.port());
}

TEST(Connection, EchoesOneOctetAtATime) {
  TestServer server(echo);
  auto body = [](Connection& connection) -> asio::awaitable<Text> {
    std::string got;
    for (const char c : std::string_view("hello, world")) {
      RELAIS_CO_TRY(auto one, co_await exchange(connection, std::string(1, c)));
      got += one;
    }
    co_return got;
  };
  EXPECT_EQ(as_client(server.port(), body).value(), "hello, world");
}

TEST(Connection, LeftoversStayInOrder) {
  // Takes octets only once 1000 are there, however they come.
  auto session = [](std::unique_ptr<Connection> connection) -> asio::awaitable<void> {
    for (;;) {
      while (connection->buffered().size() < 1000)
        if (!co_await connection->fill(in(kSoon), Awaiting::data)) co_return;
      connection->queue(connection->buffered().substr(0, 1000));
      connection->consume(1000);
      if (!co_await connection->flush(in(kSoon))) co_return;
    }
  };
  TestServer server(session);
  const auto data = pattern(200'000);
  auto body = [&data](Connection& connection) -> asio::awaitable<Text> {
    std::string got;
    for (std::size_t at = 0, piece = 1; at < data.size(); at += piece, piece = piece * 7 % 30'011) {
      connection.queue(std::string_view(data).substr(at, piece));
      RELAIS_CO_TRY_VOID(co_await connection.flush(in(kSoon)));
    }
    co_return co_await read_exactly(connection, data.size());
  };
  EXPECT_TRUE(as_client(server.port(), body).value() == data);
}

TEST(Connection, WritesManyLargePiecesToASlowReader) {
  const auto data = pattern(300'000);
  std::vector<std::string_view> pieces;
  std::string expected = "head ";
  for (std::size_t i = 0; i < 150; ++i) {
    pieces.push_back(std::string_view(data).substr(i, i % 3 == 0 ? data.size() - i : i));
    expected.append(pieces.back());
  }
  auto session = [&pieces](std::unique_ptr<Connection> connection) -> asio::awaitable<void> {
    connection->queue("head ");
    EXPECT_TRUE(co_await connection->write(pieces, in(kSoon)));
  };
  TestServer server(session);
  auto body = [](Connection& connection) -> asio::awaitable<std::string> { co_return co_await read_all(connection); };
  EXPECT_TRUE(as_client(server.port(), body) == expected);
}

TEST(Connection, APeerThatReadsNothingIsClosedAtTheDeadline) {
  std::promise<Error> ended;
  auto session = [&ended](std::unique_ptr<Connection> connection) -> asio::awaitable<void> {
    const std::string data(64 << 20, 'x');
    const std::string_view piece = data;
    auto written = co_await connection->write({&piece, 1}, in(50ms));
    EXPECT_FALSE(written);
    ended.set_value(written ? Error{} : written.error());
    connection->queue("more");
    EXPECT_FALSE(co_await connection->flush(in(kSoon)));
  };
  TestServer server(session);
  auto body = [&ended](Connection&) -> asio::awaitable<Error> { co_return ended.get_future().get(); };
  const auto error = as_client(server.port(), body);
  EXPECT_EQ(error.fault, Fault::closed);
  EXPECT_EQ(error.code, "timeout");
}

TEST(Connection, ADeadlineEndsAWaitAndLeavesRoomForAFarewell) {
  auto session = [](std::unique_ptr<Connection> connection) -> asio::awaitable<void> {
    const auto started = std::chrono::steady_clock::now();
    const auto woken = co_await connection->fill(in(50ms), Awaiting::command);
    EXPECT_GE(std::chrono::steady_clock::now() - started, 50ms);
    connection->queue(woken ? "data" : woken.error().code);
    EXPECT_TRUE(co_await connection->flush(in(kSoon)));
  };
  TestServer server(session);
  auto body = [](Connection& connection) -> asio::awaitable<std::string> { co_return co_await read_all(connection); };
  EXPECT_EQ(as_client(server.port(), body), "timeout");
}

TEST(Connection, OctetsThatKeepComingDoNotOutrunADeadline) {
  std::promise<std::string> ended;
  auto session = [&ended](std::unique_ptr<Connection> connection) -> asio::awaitable<void> {
    const auto deadline = in(50ms);
    for (;;) {
      auto woken = co_await connection->fill(deadline, Awaiting::data);
      if (woken) continue;  // nothing is consumed: an endless line
      ended.set_value(woken.error().code);
      co_return;
    }
  };
  TestServer server(session);
  auto body = [](Connection& connection) -> asio::awaitable<void> {
    do connection.queue("x");
    while (co_await connection.flush(in(kSoon)));
  };
  auto client = std::async(std::launch::async, [&] {
    LoopPool loops(1);
    loops.start();
    auto dialogue = [&]() -> asio::awaitable<void> {
      auto connection = co_await connect(loops.at(0), "127.0.0.1", server.port(), in(kSoon));
      if (connection) co_await body(**connection);
    };
    run_on(loops.at(0), dialogue());
  });
  EXPECT_EQ(ended.get_future().get(), "timeout");
  client.get();
}

TEST(Connection, APeerThatClosesIsFaultClosed) {
  std::promise<Error> ended;
  auto session = [&ended](std::unique_ptr<Connection> connection) -> asio::awaitable<void> {
    auto woken = co_await connection->fill(in(kSoon), Awaiting::command);
    ended.set_value(woken ? Error{} : woken.error());
  };
  TestServer server(session);
  auto body = [](Connection& connection) -> asio::awaitable<int> {
    connection.close();
    connection.close();
    EXPECT_FALSE(co_await connection.fill(in(kSoon), Awaiting::data));
    connection.queue("x");
    EXPECT_FALSE(co_await connection.flush(in(kSoon)));
    co_return 0;
  };
  as_client(server.port(), body);
  const auto error = ended.get_future().get();
  EXPECT_EQ(error.fault, Fault::closed);
  EXPECT_EQ(error.code, "");
}

TEST(Connection, MayBeDestroyedWhileItsOperationsArePending) {
  TestServer server(echo);
  LoopPool loops(1);
  loops.start();
  std::promise<Error> filled;
  std::promise<Error> written;
  std::unique_ptr<Connection> connection;
  const std::string data(64 << 20, 'x');
  auto fill = [&]() -> asio::awaitable<void> {
    auto woken = co_await connection->fill(in(kSoon), Awaiting::data);
    filled.set_value(woken ? Error{} : woken.error());
  };
  // Fills the socket with what the echoing server cannot send back, as nobody reads.
  auto write = [&]() -> asio::awaitable<void> {
    const std::string_view piece = data;
    auto done = co_await connection->write({&piece, 1}, in(kSoon));
    written.set_value(done ? Error{} : done.error());
  };
  auto dialogue = [&]() -> asio::awaitable<void> {
    connection = std::move(co_await connect(loops.at(0), "127.0.0.1", server.port(), in(kSoon))).value();
    asio::co_spawn(loops.at(0).context(), fill(), asio::detached);
    asio::co_spawn(loops.at(0).context(), write(), asio::detached);
    co_await asio::post(loops.at(0).context(), asio::use_awaitable);
    connection.reset();
  };
  run_on(loops.at(0), dialogue());
  EXPECT_EQ(written.get_future().get().fault, Fault::closed);
  const auto error = filled.get_future().get();
  EXPECT_TRUE(error.fault == Fault::closed || error.text.empty());
}

TEST(Connection, LoopsMayEndWhileSessionsWait) {
  std::atomic<int> started = 0;
  std::promise<void> all;
  auto session = [&](std::unique_ptr<Connection> connection) -> asio::awaitable<void> {
    if (++started == 2) all.set_value();
    const auto mine = std::move(connection);
    static_cast<void>(co_await mine->fill(in(kSoon), Awaiting::data));
  };
  LoopPool clients(1);
  clients.start();
  std::vector<std::unique_ptr<Connection>> connections;
  {
    TestServer server(session);
    auto dialogue = [&]() -> asio::awaitable<void> {
      for (int i = 0; i < 2; ++i)
        connections.push_back(std::move(co_await connect(clients.at(0), "127.0.0.1", server.port(), in(kSoon))).value());
    };
    run_on(clients.at(0), dialogue());
    all.get_future().get();
  }
  auto cleanup = [&]() -> asio::awaitable<void> {
    connections.clear();
    co_return;
  };
  run_on(clients.at(0), cleanup());
}

TEST(Connect, ARefusedPortIsTemporary) {
  std::uint16_t port = 0;
  {
    const TestServer server(echo);
    port = server.port();
  }
  LoopPool loops(1);
  loops.start();
  const auto connected = run_on(loops.at(0), connect(loops.at(0), "127.0.0.1", port, in(kSoon)));
  ASSERT_FALSE(connected);
  EXPECT_EQ(connected.error().fault, Fault::temporary);
  EXPECT_NE(connected.error().detail.find("Connection refused"), std::string::npos) << connected.error().detail;
}

TEST(Shutdown, SessionsAtACommandBoundaryEndAndOthersFinish) {
  std::latch started(2);
  std::promise<void> busy;
  // "slow" is answered only when its second half has come, though the stop comes in between.
  auto session = [&](std::unique_ptr<Connection> connection) -> asio::awaitable<void> {
    started.count_down();
    for (;;) {
      auto woken = co_await connection->fill(in(kSoon), Awaiting::command);
      if (!woken) {
        connection->queue("bye:" + woken.error().code);
        static_cast<void>(co_await connection->flush(in(kSoon)));
        co_return;
      }
      connection->consume(connection->buffered().size());
      busy.set_value();
      if (!co_await connection->fill(in(kSoon), Awaiting::data)) co_return;
      connection->consume(connection->buffered().size());
      connection->queue("done ");
    }
  };
  TestServer server(session);
  LoopPool clients(1);
  clients.start();
  auto idle = [&]() -> asio::awaitable<std::string> {
    auto connection = std::move(co_await connect(clients.at(0), "127.0.0.1", server.port(), in(kSoon))).value();
    co_return co_await read_all(*connection);
  };
  std::promise<void> begun;
  auto active = [&]() -> asio::awaitable<std::string> {
    auto connection = std::move(co_await connect(clients.at(0), "127.0.0.1", server.port(), in(kSoon))).value();
    connection->queue("slow 1");
    EXPECT_TRUE(co_await connection->flush(in(kSoon)));
    co_await asio::co_spawn(clients.at(0).context(), [&]() -> asio::awaitable<void> { co_return; }, asio::use_awaitable);
    begun.get_future().get();  // the stop has begun
    connection->queue("slow 2");
    EXPECT_TRUE(co_await connection->flush(in(kSoon)));
    co_return co_await read_all(*connection);
  };
  auto first = asio::co_spawn(clients.at(0).context(), idle(), asio::use_future);
  auto second = asio::co_spawn(clients.at(0).context(), active(), asio::use_future);
  started.wait();  // what has not been accepted by then never is
  busy.get_future().get();
  server.listener->stop();
  std::promise<bool> graceful;
  std::thread stopper([&] { graceful.set_value(server.loops.shutdown(kSoon)); });
  while (!server.loops.at(0).shutting_down() || !server.loops.at(1).shutting_down()) std::this_thread::yield();
  begun.set_value();
  EXPECT_EQ(first.get(), "bye:shutdown");
  EXPECT_EQ(second.get(), "done bye:shutdown");
  EXPECT_TRUE(graceful.get_future().get());
  stopper.join();
}

TEST(Shutdown, ClosesWhatOutlastsTheLimit) {
  std::promise<void> waiting;
  std::promise<Error> ended;
  auto session = [&](std::unique_ptr<Connection> connection) -> asio::awaitable<void> {
    waiting.set_value();
    auto woken = co_await connection->fill(in(kSoon), Awaiting::data);
    ended.set_value(woken ? Error{} : woken.error());
  };
  TestServer server(session);
  auto body = [&](Connection&) -> asio::awaitable<bool> {
    waiting.get_future().get();
    co_return server.loops.shutdown(1ms);
  };
  EXPECT_FALSE(as_client(server.port(), body));
  const auto error = ended.get_future().get();
  EXPECT_EQ(error.fault, Fault::closed);
}

TEST(Listener, RefusesBeyondTheLimitWithItsReply) {
  ListenerOptions options;
  options.max_per_address = 1;
  options.limit_loopback = true;
  options.busy_reply = "421 too many\r\n";
  TestServer server(echo, options);
  auto body = [&](Connection& first) -> asio::awaitable<std::string> {
    EXPECT_TRUE(co_await exchange(first, "x"));
    auto second = std::move(co_await connect(first.loop(), "127.0.0.1", server.port(), in(kSoon))).value();
    auto refused = co_await read_all(*second);
    first.close();
    for (;;) {  // the place is free again once the session has noticed
      auto third = std::move(co_await connect(first.loop(), "127.0.0.1", server.port(), in(kSoon))).value();
      if (const auto answer = co_await exchange(*third, "y"); answer && *answer == "y") co_return refused;
    }
  };
  EXPECT_EQ(as_client(server.port(), body), "421 too many\r\n");
}

struct Member final : LoopMember {
  Member(Loop::Impl& loop, std::function<void()> on_stop) : LoopMember(loop), on_stop_(std::move(on_stop)) {}
  void on_deadline() noexcept override {}
  void on_shutdown() noexcept override { on_stop_(); }
  void on_force_close() noexcept override {}
  std::function<void()> on_stop_;
};

TEST(LoopPool, AStopDoesNotMissTheConnectionThatEndsAsItBegins) {
  LoopPool pool(2);
  pool.start();
  std::promise<void> made;
  std::promise<void> begun;
  // Loop 0 is busy ending its one connection until loop 1 has heard of the stop and ended its own.
  std::unique_ptr<Member> other;
  const auto end_other = [&] {
    other.reset();
    begun.set_value();
  };
  pool.at(1).post([&] { other = std::make_unique<Member>(pool.at(1).impl(), [&] { pool.at(1).post(end_other); }); });
  pool.at(0).post([&] {
    auto member = std::make_unique<Member>(pool.at(0).impl(), [] {});
    made.set_value();
    begun.get_future().wait();
    member.reset();
  });
  made.get_future().wait();
  while (pool.at(1).connections() == 0) std::this_thread::yield();
  EXPECT_TRUE(pool.shutdown(std::chrono::hours(1)));
}

TEST(Listener, AnExceptionEndsItsSessionAlone) {
  const auto& exceptions = metrics::counter("relais_net_session_exceptions_total", "", {{"listener", "test"}});
  const auto before = exceptions.value();
  auto session = [](std::unique_ptr<Connection> connection) -> asio::awaitable<void> {
    const auto mine = std::move(connection);
    if (!co_await mine->fill(in(kSoon), Awaiting::command)) co_return;
    if (mine->buffered() == "throw") throw std::logic_error("a session's bug");
    mine->queue("fine");
    static_cast<void>(co_await mine->flush(in(kSoon)));
  };
  TestServer server(session);
  auto body = [](std::string say) {
    return [say](Connection& connection) -> asio::awaitable<std::string> {
      connection.queue(say);
      EXPECT_TRUE(co_await connection.flush(in(kSoon)));
      co_return co_await read_all(connection);
    };
  };
  EXPECT_EQ(as_client(server.port(), body("throw")), "");
  EXPECT_EQ(as_client(server.port(), body("work")), "fine");
  EXPECT_EQ(exceptions.value(), before + 1);
}

TEST(Listener, APortInUseIsRefusedByName) {
  TestServer server(echo);
  ListenerOptions options;
  options.name = "imap";
  options.address = "127.0.0.1";
  options.port = server.port();
  LoopPool loops(1);
  const auto second = Listener::open(loops, options, echo);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().text, "cannot listen on 127.0.0.1 port " + std::to_string(server.port()) + " for imap: Address already in use");
  options.address = "mail.example.org";
  EXPECT_FALSE(Listener::open(loops, options, echo));
}

TEST(Listener, Ipv6) {
  LoopPool loops(1);
  loops.start();
  ListenerOptions options;
  options.name = "test";
  options.address = "::1";
  std::promise<std::string> peer;
  auto session = [&peer](std::unique_ptr<Connection> connection) -> asio::awaitable<void> {
    peer.set_value(connection->endpoints().peer_address);
    co_return;
  };
  const auto listener = Listener::open(loops, options, session);
  if (!listener) GTEST_SKIP() << "no IPv6 here: " << listener.error().text;
  (*listener)->start();
  auto dialogue = [&]() -> asio::awaitable<bool> {
    const auto connection = co_await connect(loops.at(0), "::1", (*listener)->port(), in(kSoon));
    co_return connection.has_value();  // and the connection ends on its own loop
  };
  EXPECT_TRUE(run_on(loops.at(0), dialogue()));
  EXPECT_EQ(peer.get_future().get(), "::1");
}

TEST(Listener, TheUnspecifiedIpv6AddressTakesIpv4Too) {
  LoopPool loops(1);
  loops.start();
  ListenerOptions options;
  options.name = "test";
  options.address = "::";
  auto session = [](std::unique_ptr<Connection> connection) -> asio::awaitable<void> {
    connection->queue(connection->endpoints().peer_address);
    static_cast<void>(co_await connection->flush(in(kSoon)));
  };
  const auto listener = Listener::open(loops, options, session);
  if (!listener) GTEST_SKIP() << "no IPv6 here: " << listener.error().text;
  (*listener)->start();
  EXPECT_EQ(as_client((*listener)->port(), read_all), "127.0.0.1") << "told as the IPv4 address it is";
}

TEST(Listener, APauseLetsConnectionsWait) {
  TestServer server(echo, {}, 1);
  server.listener->pause(true);
  std::promise<void> paused;  // behind the pause in the loop's queue
  server.loops.at(0).post([&] { paused.set_value(); });
  paused.get_future().get();
  auto body = [&](Connection& connection) -> asio::awaitable<Text> {
    connection.queue("x");
    EXPECT_TRUE(co_await connection.flush(in(kSoon)));
    const auto woken = co_await connection.fill(in(50ms), Awaiting::data);
    EXPECT_FALSE(woken);
    server.listener->pause(false);
    co_return co_await read_exactly(connection, 1);
  };
  EXPECT_EQ(as_client(server.port(), body).value(), "x");
}

}  // namespace
}  // namespace relais::net
