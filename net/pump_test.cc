// The pump: whatever is cut, held, stopped, broken or slow, what arrives is what was sent.
#include "net/pump.h"

#include "net/loop_impl.h"
#include "net/memory_stream.h"
#include "net/test_support.h"
#include "net/tls.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace relais::net {
namespace {

using namespace std::chrono_literals;
using Why = PumpEnd::Why;

std::string pattern(std::size_t size, std::uint32_t seed) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<char>((i + seed) * 2654435761U >> 13);
  return out;
}

asio::awaitable<void> send_all(Connection& connection, std::string_view octets) {
  EXPECT_TRUE(co_await connection.write({&octets, 1}, in(kSoon)));
}

/// user <-> client | pump | server <-> platform, all of it in memory and on this thread.
struct Joined {
  explicit Joined(std::size_t capacity = 64 * 1024) {
    auto near = memory_pair(capacity);
    auto far = memory_pair(capacity);
    user_stream = near.first.get();
    platform_stream = far.second.get();
    user = std::make_unique<Connection>(loop, std::move(near.first), Endpoints{});
    client = std::make_unique<Connection>(loop, std::move(near.second), Endpoints{});
    server = std::make_unique<Connection>(loop, std::move(far.first), Endpoints{});
    platform = std::make_unique<Connection>(loop, std::move(far.second), Endpoints{});
  }
  ~Joined() {
    user->close();
    platform->close();
    for (auto& connection : {client.get(), server.get()}) connection->close();
    run_until([this] { return running == 0; });
  }

  void spawn(asio::awaitable<void> task) {
    ++running;
    asio::co_spawn(loop.context(), std::move(task), [this](std::exception_ptr error) {
      --running;
      if (error) thrown = error;
    });
  }
  void pump(Tap* from_client = nullptr, Tap* from_server = nullptr, PumpLimits limits = {}) {
    joint = std::make_unique<Pump>(*client, *server, from_client, from_server, limits);
    pump_again();
  }
  void pump_again() {
    end.reset();
    auto task = [](Joined& self) -> asio::awaitable<void> { self.end = co_await self.joint->run(); };
    spawn(task(*this));
  }
  void run_until(const std::function<bool()>& done) {
    while (!done()) loop.step(true);
    if (thrown) std::rethrow_exception(std::exchange(thrown, nullptr));
  }
  /// Until nothing can go on without something from outside.
  void settle() {
    while (loop.step(false)) {
    }
  }
  /// What has come there by now.
  std::string got(Stream& at) {
    settle();
    std::string out;
    std::array<char, 8192> buffer;
    for (;;) {
      const auto n = at.try_read(buffer);
      if (!n || *n == 0) return out;
      out.append(buffer.data(), *n);
      settle();
    }
  }
  void say(Connection& connection, std::string_view octets) {
    const auto before = running;
    spawn(send_all(connection, octets));
    run_until([&] { return running == before; });
  }

  Loop loop;
  Stream* user_stream = nullptr;
  Stream* platform_stream = nullptr;
  std::unique_ptr<Connection> user, client, server, platform;
  std::unique_ptr<Pump> joint;
  std::optional<PumpEnd> end;
  int running = 0;
  std::exception_ptr thrown;
};

/// Passes, drops, puts in, looks away, waits for more, and holds as the dice fall; knows what must come out.
class DiceTap final : public Tap {
 public:
  DiceTap(std::string_view input, std::uint32_t seed, std::function<void()> on_hold = {})
      : input_(input), dice_(seed), on_hold_(std::move(on_hold)) {}

  Passage look(std::string_view octets) override {
    EXPECT_EQ(octets, input_.substr(at_, octets.size())) << at_;
    Passage passage;
    if (octets.size() < 3000 && dice_() % 4 == 0) return passage;
    if (dice_() % 8 == 0) {
      put_in_ = std::string(dice_() % 40, static_cast<char>('A' + dice_() % 26));
      passage.instead = put_in_;
    }
    passage.pass = dice_() % (octets.size() + 1);
    if (dice_() % 8 == 0) passage.drop = dice_() % (octets.size() - passage.pass + 1);
    if (dice_() % 4 == 0) passage.unseen = dice_() % 2 == 0 ? dice_() % 5 : dice_() % 100'000;
    expected += input_.substr(at_, passage.pass);
    expected += passage.instead;
    at_ += passage.pass + passage.drop;
    const auto unseen = input_.substr(at_).substr(0, passage.unseen);
    expected += unseen;
    at_ += unseen.size();
    if (on_hold_ && dice_() % 16 == 0) {
      passage.hold = true;
      on_hold_();
    }
    // What is left at the end of the input would never be shown again.
    if (passage.pass + passage.drop == 0 && passage.unseen == 0 && octets.size() >= 3000) {
      passage.pass = octets.size();
      expected += octets;
      at_ += octets.size();
      put_in_.clear();
      passage.instead = {};
    }
    return passage;
  }

  std::string expected;

 private:
  std::string_view input_;
  std::size_t at_ = 0;
  std::mt19937 dice_;
  std::string put_in_;
  std::function<void()> on_hold_;
};

asio::awaitable<void> say_and_finish(Connection& connection, Stream& stream, std::string_view octets) {
  co_await send_all(connection, octets);
  stream.finish_writing();
}

asio::awaitable<void> hear(Connection& connection, std::string& into) { into = co_await read_all(connection); }

TEST(Pump, WhatArrivesDoesNotDependOnCuts) {
  for (const std::size_t capacity : {1U, 7U, 4096U, 64U * 1024U}) {
    for (std::uint32_t seed = 0; seed < 12; ++seed) {
      const auto size = capacity == 1 ? 3000U : 200'000U;
      const auto up = pattern(size, seed);
      const auto down = pattern(size + 77, seed + 1);
      Joined all(capacity);
      const auto later = [&](Side side) { return [&all, side] { all.loop.post([&all, side] { all.joint->resume(side); }); }; };
      DiceTap from_client(up, seed, later(Side::client));
      DiceTap from_server(down, seed + 100);
      all.pump(&from_client, seed % 3 == 0 ? nullptr : &from_server);
      std::string at_user;
      std::string at_platform;
      all.spawn(say_and_finish(*all.user, *all.user_stream, up));
      all.spawn(hear(*all.user, at_user));
      all.spawn(send_all(*all.platform, down));
      std::array<char, 5000> buffer;
      bool told = false;  // that nothing more comes
      all.run_until([&] {
        for (;;) {
          const auto n = all.platform_stream->try_read(buffer);
          told = !n;
          if (!n || *n == 0) break;
          at_platform.append(buffer.data(), *n);
        }
        return told && all.running == 2;
      });
      all.platform_stream->finish_writing();
      all.run_until([&] { return all.end.has_value(); });
      all.client->close();
      all.run_until([&] { return all.running == 0; });
      EXPECT_EQ(all.end->why, Why::client_closed);
      ASSERT_TRUE(at_user == (seed % 3 == 0 ? down : from_server.expected)) << capacity << ' ' << seed;
      ASSERT_TRUE(at_platform == from_client.expected) << capacity << ' ' << seed;
    }
  }
}

TEST(Pump, AClientThatHasFinishedStillGetsItsAnswers) {
  Joined all;
  all.pump();
  all.say(*all.user, "LOGOUT\r\n");
  all.user_stream->finish_writing();
  EXPECT_EQ(all.got(*all.platform_stream), "LOGOUT\r\n");
  std::array<char, 10> buffer;
  EXPECT_FALSE(all.platform_stream->try_read(buffer));  // it is told that nothing more comes
  EXPECT_FALSE(all.end);
  all.say(*all.platform, "* BYE\r\n");
  all.platform->close();
  all.run_until([&] { return all.end.has_value(); });
  EXPECT_EQ(all.end->why, Why::client_closed);
  EXPECT_EQ(all.got(*all.user_stream), "* BYE\r\n");
}

TEST(Pump, AServerThatDoesNotCloseAfterItsClientIsLeft) {
  Joined all;
  all.pump(nullptr, nullptr, {.linger = 20ms});
  all.user_stream->finish_writing();
  all.run_until([&] { return all.end.has_value(); });
  EXPECT_EQ(all.end->why, Why::client_closed);
}

TEST(Pump, AServersLastWordsArrive) {
  Joined all(64);
  all.pump();
  std::string heard;
  all.spawn(hear(*all.user, heard));
  auto say = [](Joined& joined) -> asio::awaitable<void> {
    co_await send_all(*joined.platform, "* BYE " + std::string(1000, 'x') + "\r\n");
    joined.platform->close();
  };
  all.spawn(say(all));
  all.run_until([&] { return all.end.has_value(); });
  EXPECT_EQ(all.end->why, Why::server_closed);
  all.client->close();
  all.run_until([&] { return all.running == 0; });
  EXPECT_EQ(heard.size(), 6U + 1000U + 2U);
}

TEST(Pump, AReaderThatTakesNothingStopsTheReading) {
  constexpr std::size_t kCapacity = 4096;
  for (const bool tapped : {false, true}) {
    Joined all(kCapacity);
    struct Through final : Tap {
      Passage look(std::string_view octets) override { return {.pass = octets.size()}; }
    } through;
    all.pump(nullptr, tapped ? &through : nullptr);
    const std::string piece(1000, 'x');
    const std::string_view view = piece;
    std::size_t accepted = 0;
    for (;;) {
      all.settle();
      const auto taken = all.platform_stream->try_write({&view, 1});
      ASSERT_TRUE(taken);
      if (*taken == 0) break;
      accepted += *taken;
    }
    EXPECT_LE(accepted, 2 * kCapacity + Connection::kReadSize);
    std::size_t arrived = 0;
    while (arrived < accepted) arrived += all.got(*all.user_stream).size();
    EXPECT_EQ(arrived, accepted);
  }
}

/// Holds at each line's end while told to.
struct LineTap final : Tap {
  Passage look(std::string_view octets) override {
    const auto eol = octets.find('\n');
    if (octets.empty()) return {.hold = holds && whole};
    const auto pass = eol == std::string_view::npos ? octets.size() : eol + 1;
    whole = eol != std::string_view::npos;
    return {.pass = pass, .hold = holds && whole};
  }
  void shutting_down() noexcept override { holds = true; }
  bool holds = false;
  bool whole = true;
};

TEST(Pump, BothHeldIsABoundary) {
  Joined all;
  LineTap from_client;
  LineTap from_server;
  all.pump(&from_client, &from_server);
  all.say(*all.user, "one\ntwo");
  EXPECT_EQ(all.got(*all.platform_stream), "one\ntwo");
  from_client.holds = from_server.holds = true;
  all.joint->ask(Side::client);
  all.joint->ask(Side::server);
  all.settle();
  EXPECT_FALSE(all.end);  // within a line
  all.say(*all.user, " and a half\nthree\n");
  all.run_until([&] { return all.end.has_value(); });
  EXPECT_EQ(all.end->why, Why::held);
  EXPECT_EQ(all.got(*all.platform_stream), " and a half\n");
  // The connections are the caller's now.
  all.say(*all.server, "own\n");
  EXPECT_EQ(all.got(*all.platform_stream), "own\n");
  all.say(*all.client, "note\n");
  EXPECT_EQ(all.got(*all.user_stream), "note\n");
  // And go on where they were.
  from_client.holds = from_server.holds = false;
  all.joint->resume(Side::client);
  all.joint->resume(Side::server);
  all.pump_again();
  EXPECT_EQ(all.got(*all.platform_stream), "three\n");
  all.say(*all.platform, "four\n");
  EXPECT_EQ(all.got(*all.user_stream), "four\n");
}

TEST(Pump, AHeldDirectionWaitsWhileTheOtherGoesOn) {
  Joined all;
  LineTap from_client;
  from_client.holds = true;
  all.pump(&from_client);
  all.say(*all.user, "one\ntwo\n");
  EXPECT_EQ(all.got(*all.platform_stream), "one\n");
  all.say(*all.platform, "answer\n");
  EXPECT_EQ(all.got(*all.user_stream), "answer\n");
  EXPECT_EQ(all.got(*all.platform_stream), "");
  from_client.holds = false;
  all.joint->resume(Side::client);
  EXPECT_EQ(all.got(*all.platform_stream), "two\n");
  EXPECT_EQ(all.joint->octets(Side::client), 8U);
  EXPECT_EQ(all.joint->octets(Side::server), 7U);
}

/// Passes a line at a time; `at_line` is called with each.
struct PieceTap final : Tap {
  Passage look(std::string_view octets) override {
    shown.emplace_back(octets);
    Passage passage{.pass = octets.find('\n') + 1};
    if (at_line) at_line(octets.substr(0, passage.pass), passage);
    return passage;
  }
  std::vector<std::string> shown;
  std::function<void(std::string_view line, Passage& passage)> at_line;
};

TEST(Pump, AHoldBehindPiecesOfOneRead) {
  Joined all;
  PieceTap lines;
  lines.at_line = [](std::string_view line, Passage& passage) { passage.hold = line == "three\n"; };
  all.pump(&lines);
  all.say(*all.user, "one\ntwo\nthree\nfour\n");
  EXPECT_EQ(all.got(*all.platform_stream), "one\ntwo\nthree\n");
  EXPECT_EQ(lines.shown, (std::vector<std::string>{"one\ntwo\nthree\nfour\n", "two\nthree\nfour\n", "three\nfour\n"}));
  all.joint->resume(Side::client);
  EXPECT_EQ(all.got(*all.platform_stream), "four\n");
  EXPECT_EQ(lines.shown.back(), "four\n");
  EXPECT_EQ(all.joint->octets(Side::client), 19U);
}

TEST(Pump, ATapIsAskedBehindPiecesOfOneRead) {
  Joined all;
  PieceTap lines;
  bool asked = false;
  lines.at_line = [&](std::string_view line, Passage& passage) {
    if (line == "two\n") {
      all.joint->ask(Side::client);
      asked = true;
    } else if (std::exchange(asked, false)) {
      passage = {.pass = 0, .instead = "hello\n"};
    }
  };
  all.pump(&lines);
  all.say(*all.user, "one\ntwo\nthree\nfour\n");
  EXPECT_EQ(all.got(*all.platform_stream), "one\ntwo\nhello\nthree\nfour\n");
  EXPECT_EQ(lines.shown,
            (std::vector<std::string>{"one\ntwo\nthree\nfour\n", "two\nthree\nfour\n", "three\nfour\n", "three\nfour\n", "four\n"}));
}

TEST(Pump, AnAskedTapPutsSomethingIn) {
  Joined all;
  struct Speaker final : Tap {
    Passage look(std::string_view octets) override {
      return {.pass = octets.size(), .instead = octets.empty() ? "hello\n" : std::string_view{}};
    }
  } speaker;
  all.pump(nullptr, &speaker);
  all.joint->ask(Side::server);
  EXPECT_EQ(all.got(*all.user_stream), "hello\n");
  EXPECT_EQ(all.joint->octets(Side::server), 0U);
}

TEST(Pump, StopLosesNothing) {
  Joined all(16);
  all.pump();
  const auto data = pattern(100'000, 3);
  std::string heard;
  all.spawn(send_all(*all.platform, data));
  while (heard.size() < data.size()) {
    all.settle();
    all.joint->stop();
    all.run_until([&] { return all.end.has_value(); });
    EXPECT_EQ(all.end->why, Why::stopped);
    all.pump_again();
    heard += all.got(*all.user_stream);
  }
  EXPECT_TRUE(heard == data);
}

TEST(Pump, Deadlines) {
  {
    Joined all;
    all.pump(nullptr, nullptr, {.idle = 20ms});
    all.run_until([&] { return all.end.has_value(); });
    EXPECT_EQ(all.end->why, Why::idle);
    EXPECT_EQ(all.end->error.code, "timeout");
  }
  for (const auto side : {Side::client, Side::server}) {
    Joined all(100);
    all.pump(nullptr, nullptr, {.write = 20ms});
    all.say(side == Side::client ? *all.platform : *all.user, std::string(150, 'x'));
    all.run_until([&] { return all.end.has_value(); });
    EXPECT_EQ(all.end->why, side == Side::client ? Why::client_closed : Why::server_closed);
    EXPECT_EQ(all.end->error.code, "timeout");
  }
}

TEST(Pump, ThePlatformsEndWaitsForABoundary) {
  {
    Joined all;
    all.pump();
    all.settle();
    all.loop.begin_shutdown();
    all.run_until([&] { return all.end.has_value(); });
    EXPECT_EQ(all.end->why, Why::shutdown);
    all.pump();  // began too late
    all.run_until([&] { return all.end.has_value(); });
    EXPECT_EQ(all.end->why, Why::shutdown);
  }
  Joined all;
  LineTap from_client;
  LineTap from_server;
  all.pump(&from_client, &from_server);
  all.say(*all.platform, "half a li");
  all.settle();
  all.loop.begin_shutdown();
  all.settle();
  EXPECT_FALSE(all.end);
  all.say(*all.platform, "ne\n");
  all.run_until([&] { return all.end.has_value(); });
  EXPECT_EQ(all.end->why, Why::shutdown);
}

TEST(Pump, ATapThatWaitsForTooMuchIsRefused) {
  Joined all;
  struct Never final : Tap {
    Passage look(std::string_view) override { return {}; }
  } never;
  all.pump(&never);
  const std::string much(2 * Connection::kReadSize, 'x');
  auto say = [](Connection& connection, std::string_view octets) -> asio::awaitable<void> {
    static_cast<void>(co_await connection.write({&octets, 1}, in(kSoon)));
  };
  all.spawn(say(*all.user, much));
  all.run_until([&] { return all.end.has_value(); });
  EXPECT_EQ(all.end->why, Why::refused);
  all.user->close();
  all.run_until([&] { return all.running == 0; });
}

TEST(Pump, WhatATapThrowsComesOutOfRun) {
  for (const auto side : {Side::client, Side::server}) {
    Joined all;
    struct Thrower final : Tap {
      Passage look(std::string_view) override { throw std::runtime_error("tap"); }
    } thrower;
    all.pump(side == Side::client ? &thrower : nullptr, side == Side::server ? &thrower : nullptr);
    all.spawn(send_all(side == Side::client ? *all.user : *all.platform, "x"));
    EXPECT_THROW(all.run_until([&] { return all.running == 0; }), std::runtime_error);
  }
}

// ---- broken at each step

struct Outcome {
  std::optional<PumpEnd> end;
  std::size_t client_steps = 0;
  std::size_t server_steps = 0;
  std::string to_user;
  std::string to_platform;
};

Outcome break_at(std::size_t client_step, std::size_t server_step, bool tapped) {
  const auto up = pattern(100, 1);
  const auto down = pattern(120, 2);
  Script user{.to_server = up, .from_server = {}, .chunk = 7, .fail_at = client_step};
  Script platform{.to_server = down, .from_server = {}, .chunk = 5, .fail_at = server_step};
  struct Unseeing final : Tap {
    Passage look(std::string_view octets) override { return {.pass = octets.size() / 2, .drop = octets.size() % 2, .unseen = 9}; }
  } taps[2];
  Outcome outcome;
  auto body = [&](Loop& loop) -> asio::awaitable<void> {
    Connection client(loop, scripted_stream(user), {});
    Connection server(loop, scripted_stream(platform), {});
    Pump pump(client, server, tapped ? &taps[0] : nullptr, tapped ? &taps[1] : nullptr, {.linger = 1ms});
    outcome.end = co_await pump.run();
  };
  Loop loop;
  bool done = false;
  asio::co_spawn(loop.context(), body(loop), [&](std::exception_ptr error) {
    EXPECT_FALSE(error);
    done = true;
  });
  while (!done) loop.step(true);
  if (!tapped) {
    EXPECT_TRUE(up.starts_with(platform.from_server));
    EXPECT_TRUE(down.starts_with(user.from_server));
  }
  return {outcome.end, user.ops, platform.ops, user.from_server, platform.from_server};
}

TEST(Pump, BrokenAtEachStep) {
  for (const bool tapped : {false, true}) {
    const auto whole = break_at(Script::kNever, Script::kNever, tapped);
    ASSERT_TRUE(whole.end);
    ASSERT_GT(whole.client_steps, 20U);
    if (!tapped) EXPECT_EQ(whole.to_user, pattern(120, 2));
    for (std::size_t step = 0; step < whole.client_steps; ++step) {
      const auto outcome = break_at(step, Script::kNever, tapped);
      ASSERT_TRUE(outcome.end) << step;
    }
    for (std::size_t step = 0; step < whole.server_steps; ++step) {
      const auto outcome = break_at(Script::kNever, step, tapped);
      ASSERT_TRUE(outcome.end) << step;
      EXPECT_LT(outcome.to_user.size() + outcome.to_platform.size(), whole.to_user.size() + whole.to_platform.size() + 1) << step;
    }
  }
}

TEST(Pump, ALoopThatEndsTakesTheCoroutinesAlong) {
  Loop loop;
  auto near = memory_pair();
  auto far = memory_pair();
  auto body = [](Loop& on, std::unique_ptr<Stream> a, std::unique_ptr<Stream> b) -> asio::awaitable<void> {
    Connection client(on, std::move(a), {});
    Connection server(on, std::move(b), {});
    LineTap tap;
    tap.holds = true;
    Pump pump(client, server, &tap, nullptr);
    co_await pump.run();
  };
  asio::co_spawn(loop.context(), body(loop, std::move(near.second), std::move(far.first)), asio::detached);
  while (loop.step(false)) {
  }
}

// ---- sockets

/// Looks at the first octet of each million and at nothing else.
struct Million final : Tap {
  Passage look(std::string_view octets) override { return octets.empty() ? Passage{} : Passage{.pass = 1, .unseen = 999'999}; }
};

struct Sockets {
  bool tls_client = false;
  bool tls_server = false;
};

class PumpOverSockets : public testing::TestWithParam<Sockets> {};

// A platform that reads all of `up` and then says `down`; the relay stops and goes on again whenever the client asks it to.
TEST_P(PumpOverSockets, LargeDataBothWays) {
  const TestCertificate files({"mail.example.org"});
  const auto certificate = TlsContext::server({{files.certificate(), files.key()}}).value();
  const auto trusting = TlsContext::client(files.certificate(), true).value();
  const auto up = pattern(3'000'000, 1);
  const auto down = pattern(8'000'000, 2);

  auto serve = [&](std::unique_ptr<Connection> connection) -> asio::awaitable<void> {
    auto got = co_await read_exactly(*connection, up.size());
    EXPECT_TRUE(got && *got == up);
    co_await send_all(*connection, down);
  };
  ListenerOptions platform_options;
  if (GetParam().tls_server) platform_options.implicit_tls = certificate;
  TestServer platform(serve, platform_options);

  std::atomic<Loop*> relay_loop = nullptr;
  Pump* joint = nullptr;  // of relay_loop's thread
  std::atomic<std::uint64_t> spliced = 0;
  std::atomic<int> stops = 0;
  auto relay = [&](std::unique_ptr<Connection> client) -> asio::awaitable<void> {
    auto server = co_await connect(client->loop(), "127.0.0.1", platform.port(), in(kSoon));
    if (!server) {
      ADD_FAILURE() << server.error().detail;
      co_return;
    }
    if (GetParam().tls_server) EXPECT_TRUE(co_await (*server)->start_tls_client(*trusting, "mail.example.org", in(kSoon)));
    Million taps[2];
    Pump pump(*client, **server, &taps[0], &taps[1]);
    joint = &pump;
    relay_loop = &client->loop();
    for (;;) {
      const auto end = co_await pump.run();
      if (end.why != Why::stopped) {
        EXPECT_EQ(end.why, Why::server_closed) << end.error.detail;
        break;
      }
      ++stops;
    }
    EXPECT_EQ(pump.octets(Side::client), up.size());
    EXPECT_EQ(pump.octets(Side::server), down.size());
    spliced = pump.spliced(Side::server);
    joint = nullptr;
  };
  ListenerOptions options;
  if (GetParam().tls_client) options.implicit_tls = certificate;
  TestServer frontend(relay, options, 1);

  auto body = [&](Connection& connection) -> asio::awaitable<bool> {
    if (GetParam().tls_client) EXPECT_TRUE(co_await connection.start_tls_client(*trusting, "mail.example.org", in(kSoon)));
    co_await send_all(connection, up);
    std::string got;
    while (got.size() < down.size()) {
      if (connection.buffered().empty() && !co_await connection.fill(in(kSoon), Awaiting::data)) break;
      const auto piece = connection.buffered().substr(0, 20'000);
      got += piece;
      connection.consume(piece.size());
      if (got.size() % 3 == 0)
        frontend.loops.at(0).post([&] {
          if (joint != nullptr) joint->stop();
        });
    }
    co_return got == down;
  };
  EXPECT_TRUE(as_client(frontend.port(), body));
  frontend.listener->stop();
  EXPECT_TRUE(frontend.loops.shutdown(kSoon));
  EXPECT_GT(stops, 0);
  if (GetParam().tls_client || GetParam().tls_server)
    EXPECT_EQ(spliced, 0U);
  else
    EXPECT_GT(spliced, down.size() / 2);
}

INSTANTIATE_TEST_SUITE_P(Tls, PumpOverSockets, testing::Values(Sockets{}, Sockets{true, false}, Sockets{false, true}, Sockets{true, true}));

TEST(Pump, WhatIsNotLookedAtGoesThroughTheKernelWhenItIsMuch) {
  const auto down = pattern(4'000'000, 2);
  auto serve = [&](std::unique_ptr<Connection> connection) -> asio::awaitable<void> { co_await send_all(*connection, down); };
  TestServer platform(serve);
  std::atomic<std::uint64_t> spliced = 0;
  auto relay = [&](std::unique_ptr<Connection> client) -> asio::awaitable<void> {
    auto server = co_await connect(client->loop(), "127.0.0.1", platform.port(), in(kSoon));
    if (!server) co_return;
    Pump pump(*client, **server, nullptr, nullptr);
    co_await pump.run();
    spliced = pump.spliced(Side::server);
  };
  TestServer frontend(relay, {}, 1);
  auto body = [](Connection& connection) -> asio::awaitable<std::string> { co_return co_await read_all(connection); };
  EXPECT_TRUE(as_client(frontend.port(), body) == down);
  EXPECT_TRUE(frontend.loops.shutdown(kSoon));
  EXPECT_GT(spliced, 0U);
}

}  // namespace
}  // namespace relais::net
