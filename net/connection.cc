// Buffered, deadlined input and output of one connection.
#include "net/connection.h"

#include "base/check.h"
#include "net/connection_impl.h"
#include "net/tcp_stream.h"
#include "net/tls_stream.h"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>

namespace relais::net {
namespace {

Error closed_error() { return {Fault::closed, "", "connection closed", ""}; }
Error timeout_error() { return {Fault::closed, "timeout", "timeout", ""}; }

std::size_t total(std::span<const std::string_view> pieces) noexcept {
  std::size_t sum = 0;
  for (const auto piece : pieces) sum += piece.size();
  return sum;
}

}  // namespace

Connection::Impl::Impl(Loop& loop, std::unique_ptr<Stream> transport)
    : LoopMember(loop.impl()), stream(std::move(transport)), in(loop_.buffers) {}

void Connection::Impl::on_deadline() noexcept {
  timed_out = true;
  stream->cancel_wait();
}

void Connection::Impl::on_shutdown() noexcept {
  end_pause();
  if (waits_for_command) stream->cancel_wait();
}

void Connection::Impl::close() noexcept {
  closed = true;
  end_pause();
  stream->close();
}

void Connection::Impl::signal() noexcept {
  signalled = true;
  if (waits_for_input) stream->cancel_wait();
}

void Connection::Impl::begin_wait(Deadline deadline) {
  timed_out = false;
  unwaited_ = 0;
  loop_.arm(*this, deadline);
}

std::optional<Error> Connection::Impl::ended(bool for_command) const {
  if (closed) return closed_error();
  if (timed_out) return timeout_error();
  if (for_command && loop_.shutting_down.load(std::memory_order_relaxed)) return Error{Fault::closed, "shutdown", "shutting down", ""};
  return std::nullopt;
}

asio::awaitable<void> Connection::Impl::yield() { return asio::post(loop_.context, asio::use_awaitable); }

// The deepest frame of an idle session but one: keep what lives across the wait small.
Task<Woken> Connection::Impl::fill(std::shared_ptr<Impl> self, Deadline deadline, Awaiting awaiting) {
  const bool for_command = awaiting == Awaiting::command;
  self->timed_out = std::chrono::steady_clock::now() >= deadline;
  if (self->turn_over()) co_await self->yield();
  for (;;) {
    if (auto end = self->ended(for_command)) co_return fail(std::move(*end));
    if (std::exchange(self->signalled, false)) co_return Woken::signal;
    {
      auto got = self->in.fill([&](std::span<char> into) { return self->stream->try_read(into); });
      if (!got) {
        self->close();
        co_return fail(std::move(got).error());
      }
      if (*got > 0) co_return Woken::data;
    }
    // Nothing is held while waiting but what is not yet consumed.
    if (self->out.empty()) std::string().swap(self->out);
    self->in.trim();
    self->begin_wait(deadline);
    self->waits_for_input = true;
    self->waits_for_command = for_command;
    co_await self->stream->wait_readable();
    self->waits_for_input = self->waits_for_command = false;
    self->end_wait();
  }
}

// Ends with the coroutine's frame, which the end of the loop may destroy while it waits.
struct Connection::Impl::Pausing {
  Pausing(Impl& connection, asio::steady_timer& timer) noexcept : impl(connection) {
    impl.pausing = &timer;
    ++impl.loop_.pauses;
  }
  ~Pausing() {
    --impl.loop_.pauses;
    impl.pausing = nullptr;
  }
  Pausing(const Pausing&) = delete;
  Pausing& operator=(const Pausing&) = delete;
  Impl& impl;
};

// A timer of its own: pauses are rare, and the socket's readiness must not end one.
Task<void> Connection::Impl::pause(std::shared_ptr<Impl> self, std::chrono::milliseconds duration) {
  self->timed_out = false;
  if (!self->ended(true)) {
    asio::steady_timer timer(self->loop_.context, duration);
    const Pausing pausing(*self, timer);
    boost::system::error_code cancelled;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  }
  if (auto end = self->ended(true)) co_return fail(std::move(*end));
  co_return Result<void>{};
}

Task<void> Connection::Impl::wait_writable(std::shared_ptr<Impl> self, Deadline deadline) {
  self->begin_wait(deadline);
  co_await self->stream->wait_writable();
  self->end_wait();
  if (auto end = self->ended(false)) {
    self->close();
    co_return fail(std::move(*end));
  }
  co_return Result<void>{};
}

// Sends self->out, then the pieces. The output is taken out of self first: the session may not add to it while it is being sent.
Task<void> Connection::Impl::send(std::shared_ptr<Impl> self, std::span<const std::string_view> pieces, Deadline deadline) {
  constexpr std::size_t kWindow = 64;
  std::string queued;
  std::size_t queued_sent = 0;
  std::size_t next = 0;    // piece
  std::size_t offset = 0;  // octets of it that are sent
  auto left = self->out.size() + total(pieces);
  if (self->turn_over()) co_await self->yield();
  for (bool first = true; left > 0; first = false) {
    if (self->closed) co_return fail(closed_error());
    const std::string_view pending = first ? std::string_view(self->out) : std::string_view(queued).substr(queued_sent);
    std::size_t sent = 0;
    {
      std::array<std::string_view, kWindow> window;
      std::size_t used = 0;
      if (!pending.empty()) window[used++] = pending;
      for (auto i = next; i < pieces.size() && used < kWindow; ++i) window[used++] = pieces[i].substr(i == next ? offset : 0);
      auto taken = self->stream->try_write(std::span<const std::string_view>(window.data(), used));
      if (!taken) {
        self->close();
        co_return fail(std::move(taken).error());
      }
      sent = *taken;
    }
    left -= sent;
    if (first) {
      if (left == 0) {
        self->out.clear();
        break;
      }
      queued = std::exchange(self->out, std::string());
    }
    const auto from_queued = std::min(sent, pending.size());
    queued_sent += from_queued;
    offset += sent - from_queued;
    while (next < pieces.size() && offset >= pieces[next].size()) offset -= pieces[next++].size();
    if (left > 0) RELAIS_CO_TRY_VOID(co_await wait_writable(self, deadline));
  }
  co_return Result<void>{};
}

Task<void> Connection::Impl::handshake(std::shared_ptr<Impl> self, const TlsContext& context, std::optional<TlsPeer> peer,
                                       Deadline deadline) {
  if (self->closed) co_return fail(closed_error());
  if (dynamic_cast<TcpStream*>(self->stream.get()) == nullptr) co_return fail(Fault::refused, "TLS cannot start here");
  RELAIS_CHECK(self->out.empty());
  self->in.clear();  // RFC 3207 §4.2, RFC 9051 §11.1: what came before the handshake could have been injected
  std::unique_ptr<TcpStream> tcp(static_cast<TcpStream*>(self->stream.release()));
  auto made = peer ? TlsStream::client(std::move(tcp), context, std::move(*peer)) : TlsStream::server(std::move(tcp), context);
  auto& tls = *made;
  self->stream = std::move(made);
  for (;;) {
    auto step = tls.try_handshake();
    if (!step) {
      self->close();
      co_return fail(std::move(step).error());
    }
    if (*step == TlsStream::Handshake::done) co_return Result<void>{};
    self->begin_wait(deadline);
    if (*step == TlsStream::Handshake::wants_read)
      co_await tls.wait_readable();
    else
      co_await tls.wait_writable();
    self->end_wait();
    if (auto end = self->ended(false)) {
      self->close();
      co_return fail(std::move(*end));
    }
  }
}

Connection::Connection(Loop& loop, std::unique_ptr<Stream> stream, Endpoints endpoints)
    : loop_(loop), impl_(std::make_shared<Impl>(loop, std::move(stream))), out_(impl_->out), endpoints_(std::move(endpoints)) {}

Connection::~Connection() { impl_->close(); }

std::string_view Connection::buffered() const noexcept { return impl_->in.view(); }
void Connection::consume(std::size_t n) noexcept { impl_->in.consume(n); }
Task<Woken> Connection::fill(Deadline deadline, Awaiting awaiting) { return Impl::fill(impl_, deadline, awaiting); }
void Connection::signal() noexcept { impl_->signal(); }
Task<void> Connection::pause(std::chrono::milliseconds duration) { return Impl::pause(impl_, duration); }
Task<void> Connection::flush(Deadline deadline) { return Impl::send(impl_, {}, deadline); }
Task<void> Connection::write(std::span<const std::string_view> pieces, Deadline deadline) { return Impl::send(impl_, pieces, deadline); }
Task<void> Connection::start_tls(const TlsContext& context, Deadline deadline) {
  return Impl::handshake(impl_, context, std::nullopt, deadline);
}
Task<void> Connection::start_tls_client(const TlsContext& context, std::string server_name, Deadline deadline) {
  return Impl::handshake(impl_, context, TlsPeer{.name = std::move(server_name)}, deadline);
}
Task<void> Connection::start_tls_client(const TlsContext& context, TlsPeer peer, Deadline deadline) {
  return Impl::handshake(impl_, context, std::move(peer), deadline);
}
const TlsInfo* Connection::tls() const noexcept { return impl_->stream->tls(); }
void Connection::close() { impl_->close(); }

}  // namespace relais::net
