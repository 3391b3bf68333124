// The streams that tests of sessions stand on.
#include "net/memory_stream.h"

#include "net/test_support.h"

#include <gtest/gtest.h>
#include <boost/asio/detached.hpp>

namespace relais::net {
namespace {

using namespace std::chrono_literals;

// Greets, answers each line with its length, says bye to "quit" and at the end.
asio::awaitable<void> counter(std::unique_ptr<Connection> connection) {
  connection->queue("hello\r\n");
  for (;;) {
    if (!co_await connection->flush(in(kSoon))) co_return;
    auto end = connection->buffered().find("\r\n");
    while (end == std::string_view::npos) {
      if (!co_await connection->fill(in(kSoon), Awaiting::command)) co_return;
      end = connection->buffered().find("\r\n");
    }
    const bool quit = connection->buffered().substr(0, end) == "quit";
    connection->consume(end + 2);
    connection->queue(quit ? "bye\r\n" : std::to_string(end) + "\r\n");
    if (quit) {
      static_cast<void>(co_await connection->flush(in(kSoon)));
      co_return;
    }
  }
}

constexpr std::string_view kDialogue = "hello\r\n3\r\n0\r\n5\r\nbye\r\n";

TEST(Script, PlaysTheSameHoweverItIsCut) {
  for (const std::size_t chunk : {Script::kNever, std::size_t{1}, std::size_t{2}, std::size_t{7}}) {
    SCOPED_TRACE(chunk);
    Script script{.to_server = "abc\r\n\r\n12345\r\nquit\r\nmore\r\n", .chunk = chunk};
    play(script, counter);
    EXPECT_EQ(script.from_server, kDialogue);
  }
}

TEST(Script, BreaksAtEveryStep) {
  const Script whole{.to_server = "abc\r\n\r\n12345\r\nquit\r\n", .chunk = 3};
  Script script = whole;
  const auto steps = play(script, counter);
  EXPECT_EQ(script.from_server, kDialogue);
  for (std::size_t i = 0; i < steps; ++i) {
    SCOPED_TRACE(i);
    Script broken = whole;
    broken.fail_at = i;
    EXPECT_LE(play(broken, counter), i + 1);
    EXPECT_TRUE(kDialogue.starts_with(broken.from_server));
  }
}

TEST(Script, TheEndOfInputEndsTheSession) {
  Script script{.to_server = "abc"};
  play(script, counter);
  EXPECT_EQ(script.from_server, "hello\r\n");
}

TEST(ScriptedSession, StepByStep) {
  ScriptedSession session(counter);
  EXPECT_EQ(session.run(), "hello\r\n");
  EXPECT_EQ(session.send("ab"), "");
  EXPECT_EQ(session.send("c\r\nx\r\n"), "3\r\n1\r\n");
  EXPECT_FALSE(session.ended());
  EXPECT_EQ(session.send("quit\r\n"), "bye\r\n");
  EXPECT_TRUE(session.ended());
  EXPECT_EQ(session.send("more\r\n"), "");
}

TEST(ScriptedSession, MayBeLeftWaiting) {
  ScriptedSession session(counter);
  EXPECT_EQ(session.run(), "hello\r\n");
}

TEST(ScriptedSession, GracefulStopEndsAWaitForACommand) {
  ScriptedSession session(counter);
  session.run();
  session.loop().begin_shutdown();
  session.run();
  EXPECT_TRUE(session.ended());
}

// Pauses for an hour, or a moment, and says how that ended.
asio::awaitable<void> pause_for(std::unique_ptr<Connection> connection, std::chrono::milliseconds duration) {
  const auto paused = co_await connection->pause(duration);
  connection->queue(paused ? "done " : paused.error().code + " ");
  static_cast<void>(co_await connection->flush(in(kSoon)));
  const auto woken = co_await connection->fill(in(kSoon), Awaiting::command);
  connection->queue(woken ? std::string(connection->buffered()) : woken.error().code);
  static_cast<void>(co_await connection->flush(in(kSoon)));
}

// The lambda is no coroutine: what it captured is copied into the frame.
SessionStarter pauser(std::chrono::milliseconds duration) {
  return [duration](std::unique_ptr<Connection> connection) { return pause_for(std::move(connection), duration); };
}

TEST(Pause, IsNotEndedByInputAndLosesNone) {
  ScriptedSession session(pauser(5ms));
  EXPECT_EQ(session.send("input"), "");
  EXPECT_EQ(session.run_until("input"), "done input");
}

TEST(Pause, GracefulStopEndsIt) {
  ScriptedSession session(pauser(1h));
  EXPECT_EQ(session.run(), "");
  session.loop().begin_shutdown();
  EXPECT_EQ(session.run(), "shutdown shutdown");
  EXPECT_TRUE(session.ended());
}

TEST(Pause, DoesNotBeginAfterTheStop) {
  ScriptedSession session(pauser(1h));
  session.loop().begin_shutdown();
  EXPECT_EQ(session.run(), "shutdown shutdown");
}

TEST(Pause, MayBeLeftWaiting) {
  ScriptedSession session(pauser(1h));  // closed by the destructor
  session.run();
  {
    Loop loop;  // and here the loop ends first
    Script script;
    auto connection = std::make_unique<Connection>(loop, scripted_stream(script), Endpoints{});
    asio::co_spawn(loop.context(), pauser(1h)(std::move(connection)), asio::detached);
    loop.step(false);
    EXPECT_EQ(loop.connections(), 1U);
  }
}

asio::awaitable<void> signalled(std::unique_ptr<Connection> connection) {
  auto* const raw = connection.get();
  connection->loop().post([raw] { raw->signal(); });
  const auto woken = co_await connection->fill(in(kSoon), Awaiting::command);
  connection->queue(woken && *woken == Woken::signal ? "signal" : "other");
  raw->signal();  // with nothing waiting: the next fill says so
  const auto again = co_await connection->fill(in(kSoon), Awaiting::data);
  connection->queue(again && *again == Woken::signal ? " signal" : " other");
  static_cast<void>(co_await connection->flush(in(kSoon)));
  static_cast<void>(co_await connection->fill(in(kSoon), Awaiting::data));
}

TEST(ScriptedSession, SignalWakesAWait) {
  ScriptedSession session(signalled);
  EXPECT_EQ(session.run_until("signal signal"), "signal signal");
}

TEST(MemoryPair, CarriesOctetsAndPressureBothWays) {
  Loop loop;
  auto [a, b] = memory_pair(100);
  Connection left(loop, std::move(a), {});
  Connection right(loop, std::move(b), {});
  const std::string sent(10'000, 'x');
  std::string got;
  auto writer = [&]() -> asio::awaitable<void> {
    const std::string_view piece = sent;
    EXPECT_TRUE(co_await left.write({&piece, 1}, in(kSoon)));
    left.close();
  };
  auto reader = [&]() -> asio::awaitable<void> {
    while (co_await right.fill(in(kSoon), Awaiting::data)) {
      EXPECT_LE(right.buffered().size(), 100U);
      got.append(right.buffered());
      right.consume(right.buffered().size());
    }
    loop.stop();
  };
  asio::co_spawn(loop.context(), writer(), asio::detached);
  asio::co_spawn(loop.context(), reader(), asio::detached);
  loop.run();
  EXPECT_EQ(got, sent);
}

}  // namespace
}  // namespace relais::net
