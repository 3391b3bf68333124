// Moves octets between two connections: one coroutine per direction, and a plain function that says what each waits for.
#include "net/pump.h"

#include "base/check.h"
#include "net/connection_impl.h"
#include "net/tcp_stream.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>

#include <fcntl.h>
#include <unistd.h>

namespace relais::net {
namespace {

using Clock = std::chrono::steady_clock;
using Why = PumpEnd::Why;

constexpr auto kNever = Clock::time_point::max();
constexpr std::uint32_t kTurn = 32;  // steps without a wait; then others have their turn

enum class Step : std::uint8_t { go_on, readable, writable, rest, yield, done };

}  // namespace

struct Pump::Impl {
  /// What moves from one side to the other.
  struct Direction {
    Direction(Side side, std::shared_ptr<Connection::Impl> reads, std::shared_ptr<Connection::Impl> writes, Tap* looks)
        : from(side), source(std::move(reads)), sink(std::move(writes)), tap(looks) {}

    bool owes() const noexcept { return passage.pass > 0 || !passage.instead.empty() || passage.drop > 0; }
    bool idle() const noexcept { return !owes() && passage.unseen == 0 && in_pipe == 0 && source->in.empty(); }

    const Side from;
    const std::shared_ptr<Connection::Impl> source;
    const std::shared_ptr<Connection::Impl> sink;
    Tap* const tap;
    Passage passage;        ///< what the tap has said and is not done; `unseen` is what has not been taken by the other side
    std::size_t shown = 0;  ///< of what is buffered: the tap wants more behind it
    bool asked = false;     ///< the tap is to be called whatever there is
    bool held = false;
    bool over = false;  ///< nothing can be moved any more
    bool bulk = false;  ///< the kernel moves what comes, as long as there is much of it
    std::optional<KernelPipe> pipe;
    std::size_t in_pipe = 0;
    std::uint64_t octets = 0;
    std::uint64_t spliced = 0;
    Deadline write_by = kNever;
    std::uint32_t steps = 0;
    Step waits = Step::go_on;
    asio::steady_timer* resting = nullptr;
  };

  /// Has the deadline, and hears of the platform's end.
  struct Member final : LoopMember {
    Member(Loop::Impl& loop, Impl& owner) : LoopMember(loop), pump(owner) {}
    void on_deadline() noexcept override { pump.on_deadline(); }
    void on_shutdown() noexcept override { pump.on_shutdown(); }
    void on_force_close() noexcept override {}  // the connections are closed, which is seen
    void arm(Deadline deadline) { loop_.arm(*this, deadline); }
    Impl& pump;
  };

  Impl(std::shared_ptr<Connection::Impl> client_side, std::shared_ptr<Connection::Impl> server_side, Tap* from_client, Tap* from_server,
       PumpLimits most)
      : limits(most),
        loop(client_side->loop().impl()),
        client(Side::client, client_side, server_side, from_client),
        server(Side::server, std::move(server_side), std::move(client_side), from_server) {}

  static asio::awaitable<PumpEnd> run(std::shared_ptr<Impl> self);
  static asio::awaitable<void> move(std::shared_ptr<Impl> self, Direction& d);
  static asio::awaitable<void> until_woken(std::shared_ptr<Impl> self, Direction& d);

  Step advance(Direction& d);
  Step step(Direction& d);
  Step write(Direction& d);
  /// @param ahead  so many of the buffered octets pass already
  Step look(Direction& d, std::size_t ahead);
  Step read(Direction& d);
  Step read_end(Direction& d, Error error);
  bool through_kernel(Direction& d);
  Step splice_in(Direction& d);
  Step splice_out(Direction& d);
  void give_pipe(Direction& d);
  /// Octets that left a socket and did not reach the other are the reader's again.
  void recover(Direction& d);

  void on_deadline() noexcept;
  void on_shutdown() noexcept;
  void arm();
  Deadline earliest() const noexcept;
  void moved(Direction& d, std::uint64_t octets, bool by_kernel);
  void consider_end();
  void end(Why why, Error error = {}) noexcept;
  static void wake(Direction& d) noexcept;
  Direction& at(Side side) noexcept { return side == Side::client ? client : server; }
  static Why closed(Side side) noexcept { return side == Side::client ? Why::client_closed : Why::server_closed; }

  const PumpLimits limits;
  Loop::Impl& loop;
  Direction client;
  Direction server;
  std::optional<Member> member;  ///< while it runs
  Deadline armed_for = kNever;
  Deadline last_octet{};
  Deadline linger_by = kNever;
  std::optional<PumpEnd> cause;  ///< what makes it end, where the server may still have something to say
  std::optional<PumpEnd> ended;
  bool shutting = false;
  bool server_runs = false;
  std::exception_ptr thrown;  ///< by the server's direction
  asio::steady_timer* finished = nullptr;
};

// ---- the end

void Pump::Impl::wake(Direction& d) noexcept {
  switch (d.waits) {
    case Step::readable: d.source->stream->cancel_wait(); break;
    case Step::writable: d.sink->stream->cancel_wait(); break;
    case Step::rest:
      if (d.resting != nullptr) d.resting->cancel();
      break;
    default: break;
  }
}

void Pump::Impl::end(Why why, Error error) noexcept {
  if (!member || ended) return;
  ended = cause ? std::move(*cause) : PumpEnd{why, std::move(error)};
  wake(client);
  wake(server);
}

// After each change that may have brought both directions to rest.
void Pump::Impl::consider_end() {
  if (client.held && server.held) return end(shutting ? Why::shutdown : Why::held);
  if (client.over && server.held) return end(Why::client_closed);
  if (!shutting) return;
  const auto still = [](const Direction& d) { return d.held || (d.tap == nullptr && d.waits == Step::readable && d.idle()); };
  if (still(client) && still(server)) end(Why::shutdown);
}

Deadline Pump::Impl::earliest() const noexcept { return std::min({last_octet + limits.idle, client.write_by, server.write_by, linger_by}); }

void Pump::Impl::arm() {
  const auto at = earliest();
  if (at >= armed_for) return;
  armed_for = at;
  member->arm(at);
}

void Pump::Impl::on_deadline() noexcept {
  armed_for = kNever;
  const auto now = Clock::now();
  const Error timeout{Fault::closed, "timeout", "timeout", ""};
  if (linger_by <= now) return end(Why::client_closed, timeout);
  if (client.write_by <= now) return end(Why::server_closed, timeout);
  if (server.write_by <= now) return end(Why::client_closed, timeout);
  if (last_octet + limits.idle <= now) return end(Why::idle, timeout);
  arm();
}

void Pump::Impl::on_shutdown() noexcept {
  shutting = true;
  for (auto* d : {&client, &server}) {
    if (d->tap != nullptr) d->tap->shutting_down();
    d->asked = true;
    wake(*d);
  }
}

// ---- one direction, without waiting

void Pump::Impl::moved(Direction& d, std::uint64_t octets, bool by_kernel) {
  last_octet = Clock::now();
  d.octets += octets;
  if (by_kernel) d.spliced += octets;
}

Step Pump::Impl::advance(Direction& d) {
  d.waits = Step::go_on;
  d.write_by = kNever;
  for (;;) {
    if (ended || d.over) return Step::done;
    if (d.source->closed || d.sink->closed) {
      end(closed(d.source->closed == (d.from == Side::client) ? Side::client : Side::server));
      return Step::done;
    }
    if (++d.steps % kTurn == 0) return Step::yield;
    const auto next = step(d);
    if (next == Step::go_on) continue;
    d.waits = next;
    d.steps = 0;
    if (next == Step::writable) {
      d.write_by = Clock::now() + limits.write;
      arm();
    } else {
      consider_end();
      if (ended) return Step::done;
    }
    return next;
  }
}

Step Pump::Impl::step(Direction& d) {
  if (d.in_pipe > 0) return splice_out(d);
  if (d.owes()) return write(d);
  if (d.passage.unseen > 0) {
    if (const auto ready = d.source->in.view().size(); ready > 0) {
      d.passage.pass = static_cast<std::size_t>(std::min<std::uint64_t>(ready, d.passage.unseen));
      d.passage.unseen -= d.passage.pass;
      const bool more = d.tap != nullptr && ready > d.passage.pass && d.passage.unseen == 0 && !d.passage.hold;
      return more ? look(d, d.passage.pass) : Step::go_on;
    }
    return through_kernel(d) ? splice_in(d) : read(d);
  }
  if (d.tap == nullptr) {
    d.asked = false;
    if (!d.source->in.empty()) {
      d.passage.pass = d.source->in.view().size();
      return Step::go_on;
    }
    return d.bulk && through_kernel(d) ? splice_in(d) : read(d);
  }
  if (d.pipe) give_pipe(d);
  d.bulk = false;
  if (std::exchange(d.passage.hold, false)) d.held = true;
  if (d.held) return Step::rest;
  if (d.asked || d.source->in.view().size() > d.shown) return look(d, 0);
  return read(d);
}

// What the tap lets pass piece by piece is written at once, as far as it is there: small messages are a line and a few kilobytes each.
Step Pump::Impl::look(Direction& d, std::size_t ahead) {
  d.asked = false;
  const auto octets = d.source->in.view();
  do {
    const auto rest = octets.substr(ahead);
    auto passage = d.tap->look(rest);
    RELAIS_CHECK(passage.pass <= rest.size() && passage.drop <= rest.size() - passage.pass);
    const bool plain = passage.instead.empty() && passage.drop == 0;
    if (plain) {
      const auto unseen = static_cast<std::size_t>(std::min<std::uint64_t>(passage.unseen, rest.size() - passage.pass));
      passage.pass += unseen;
      passage.unseen -= unseen;
    }
    ahead += passage.pass;
    if (!plain || passage.unseen > 0 || passage.hold) {
      d.passage = passage;
      d.passage.pass = ahead;
      d.shown = 0;
      return Step::go_on;
    }
    if (passage.pass == 0) {
      d.passage = {.pass = ahead};
      d.shown = rest.size();
      if (d.shown < Connection::kReadSize) return Step::go_on;
      end(Why::refused, {Fault::refused, "", "line too long", ""});
      return Step::done;
    }
  } while (ahead < octets.size() && !d.asked && !ended);
  d.passage = {.pass = ahead};
  d.shown = 0;
  return Step::go_on;
}

// What is left of the passage's own octets is offered again in the same way, as TLS wants it.
Step Pump::Impl::write(Direction& d) {
  auto& passage = d.passage;
  if (passage.pass + passage.instead.size() > 0) {
    const std::array<std::string_view, 2> pieces{d.source->in.view().substr(0, passage.pass), passage.instead};
    const auto taken = d.sink->stream->try_write(pieces);
    if (!taken) {
      if (d.from == Side::server) {
        end(Why::client_closed, taken.error());
        return Step::done;
      }
      // The server takes nothing more; it may have said why.
      if (!cause) cause = PumpEnd{Why::server_closed, taken.error()};
      return read_end(d, taken.error());
    }
    const auto passed = std::min(*taken, passage.pass);
    if (passed > 0) d.source->in.consume(passed);
    passage.pass -= passed;
    passage.instead.remove_prefix(*taken - passed);
    if (*taken > 0) moved(d, passed, false);
    if (passage.pass + passage.instead.size() > 0) return Step::writable;
  }
  d.source->in.consume(std::exchange(passage.drop, 0));
  return Step::go_on;
}

Step Pump::Impl::read(Direction& d) {
  auto& source = *d.source;
  auto got = source.in.fill([&](std::span<char> into) { return source.stream->try_read(into); });
  if (!got) return read_end(d, std::move(got).error());
  if (*got > 0) {
    if (d.tap == nullptr) d.bulk = *got >= limits.splice_from;
    return Step::go_on;
  }
  if (d.pipe) give_pipe(d);
  source.in.trim();
  return Step::readable;
}

Step Pump::Impl::read_end(Direction& d, Error error) {
  d.over = true;
  if (d.from == Side::server) {
    end(Why::server_closed, std::move(error));
    return Step::done;
  }
  if (!cause) cause = PumpEnd{Why::client_closed, std::move(error)};
  d.sink->stream->finish_writing();
  linger_by = Clock::now() + limits.linger;
  arm();
  consider_end();
  return Step::done;
}

// ---- through the kernel

bool Pump::Impl::through_kernel(Direction& d) {
  if (!d.bulk && d.passage.unseen < limits.splice_from) return false;
  if (dynamic_cast<TcpStream*>(d.source->stream.get()) == nullptr || dynamic_cast<TcpStream*>(d.sink->stream.get()) == nullptr)
    return false;
  if (!d.pipe) d.pipe = loop.pipes.take();
  d.bulk = d.pipe.has_value();
  return d.bulk;
}

void Pump::Impl::give_pipe(Direction& d) {
  loop.pipes.give(std::move(*d.pipe));
  d.pipe.reset();
}

// The pipe is empty, so EAGAIN says that the socket is. One pipe takes no more than Connection::kReadSize octets.
Step Pump::Impl::splice_in(Direction& d) {
  auto& watch = static_cast<TcpStream&>(*d.source->stream).watch();
  if (watch.readable()) {
    auto most = static_cast<std::uint64_t>(Connection::kReadSize);
    if (d.tap != nullptr) most = std::min(most, d.passage.unseen);
    const auto got =
        ::splice(watch.fd(), nullptr, d.pipe->in(), nullptr, static_cast<std::size_t>(most), SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (got > 0) {
      d.in_pipe = static_cast<std::size_t>(got);
      return Step::go_on;
    }
    if (got < 0 && errno == EINTR) return Step::go_on;
    if (got == 0 || errno != EAGAIN) return read(d);  // says what it is
    watch.drained();
  }
  give_pipe(d);
  if (d.tap == nullptr) d.bulk = false;
  return Step::readable;
}

Step Pump::Impl::splice_out(Direction& d) {
  auto& watch = static_cast<TcpStream&>(*d.sink->stream).watch();
  const auto taken = ::splice(d.pipe->out(), nullptr, watch.fd(), nullptr, d.in_pipe, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (taken > 0) {
    d.in_pipe -= static_cast<std::size_t>(taken);
    if (d.tap != nullptr) d.passage.unseen -= static_cast<std::uint64_t>(taken);
    moved(d, static_cast<std::uint64_t>(taken), true);
    return Step::go_on;
  }
  if (taken < 0 && errno == EINTR) return Step::go_on;
  if (taken < 0 && errno == EAGAIN) {
    watch.filled();
    return Step::writable;
  }
  const auto error = socket_error(taken < 0 ? errno : EPIPE, "splice").error();
  d.pipe.reset();
  d.in_pipe = 0;
  if (d.from == Side::server) {
    end(Why::client_closed, error);
    return Step::done;
  }
  if (!cause) cause = PumpEnd{Why::server_closed, error};
  return read_end(d, error);
}

void Pump::Impl::recover(Direction& d) {
  while (d.in_pipe > 0) {
    const auto got = d.source->in.fill([&](std::span<char> into) -> Result<std::size_t> {
      const auto n = ::read(d.pipe->out(), into.data(), std::min(into.size(), d.in_pipe));
      if (n > 0) return static_cast<std::size_t>(n);
      return fail(Fault::closed, "pipe");
    });
    RELAIS_CHECK(got.has_value());
    d.in_pipe -= *got;
  }
  if (d.pipe) give_pipe(d);
  d.bulk = false;
}

// ---- waiting

namespace {

/// Rests until cancelled. The pointer is there while the timer is, which the end of the loop may destroy while it waits.
struct Rest {
  Rest(asio::io_context& context, asio::steady_timer*& place) : timer(context, kNever), at(place) { at = &timer; }
  ~Rest() { at = nullptr; }
  Rest(const Rest&) = delete;
  Rest& operator=(const Rest&) = delete;
  asio::steady_timer timer;
  asio::steady_timer*& at;
};

}  // namespace

asio::awaitable<void> Pump::Impl::until_woken(std::shared_ptr<Impl> self, Direction& d) {
  Rest rest(self->loop.context, d.resting);
  boost::system::error_code cancelled;
  co_await rest.timer.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
}

asio::awaitable<void> Pump::Impl::move(std::shared_ptr<Impl> self, Direction& d) {
  for (;;) {
    const auto step = self->advance(d);
    if (step == Step::readable) {
      co_await d.source->stream->wait_readable();
    } else if (step == Step::writable) {
      co_await d.sink->stream->wait_writable();
    } else if (step == Step::rest) {
      co_await until_woken(self, d);
    } else if (step == Step::yield) {
      co_await asio::post(self->loop.context, asio::use_awaitable);
    } else {
      co_return;
    }
  }
}

asio::awaitable<PumpEnd> Pump::Impl::run(std::shared_ptr<Impl> self) {
  RELAIS_CHECK(!self->member);
  self->ended.reset();
  self->member.emplace(self->loop, *self);
  for (auto* const d : {&self->client, &self->server}) {
    if (auto sent = co_await Connection::Impl::send(d->source, {}, in(self->limits.write)); !sent) self->end(closed(d->from), sent.error());
  }
  self->last_octet = Clock::now();
  self->armed_for = kNever;
  self->arm();
  if (self->loop.shutting_down.load(std::memory_order_relaxed)) self->on_shutdown();
  std::exception_ptr thrown;
  {
    Rest finished(self->loop.context, self->finished);
    self->server_runs = true;
    asio::co_spawn(self->loop.context, move(self, self->server), [self](std::exception_ptr error) {
      self->server_runs = false;
      if (error) self->end(Why::stopped);
      self->thrown = std::move(error);
      if (self->finished != nullptr) self->finished->cancel();
    });
    try {
      co_await move(self, self->client);
    } catch (...) {  // thrown again once the other direction has ended
      thrown = std::current_exception();
    }
    if (thrown) self->end(Why::stopped);
    while (self->server_runs) {
      boost::system::error_code cancelled;
      co_await finished.timer.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    }
  }
  self->member.reset();
  self->recover(self->client);
  self->recover(self->server);
  if (!thrown) thrown = std::exchange(self->thrown, nullptr);
  if (thrown) std::rethrow_exception(thrown);
  RELAIS_CHECK(self->ended.has_value());
  co_return std::move(*self->ended);
}

Pump::Pump(Connection& client, Connection& server, Tap* from_client, Tap* from_server, PumpLimits limits)
    : impl_(std::make_shared<Impl>(client.impl_, server.impl_, from_client, from_server, limits)) {
  RELAIS_CHECK(&client.loop() == &server.loop());
}

Pump::~Pump() = default;

asio::awaitable<PumpEnd> Pump::run() { return Impl::run(impl_); }
void Pump::stop() noexcept { impl_->end(Why::stopped); }

void Pump::resume(Side direction) noexcept {
  auto& d = impl_->at(direction);
  d.held = d.passage.hold = false;
  d.asked = true;
  Impl::wake(d);
}

void Pump::ask(Side direction) noexcept {
  auto& d = impl_->at(direction);
  d.asked = true;
  if (!d.held) Impl::wake(d);
}

std::uint64_t Pump::octets(Side from) const noexcept { return impl_->at(from).octets; }
std::uint64_t Pump::spliced(Side from) const noexcept { return impl_->at(from).spliced; }

}  // namespace relais::net
