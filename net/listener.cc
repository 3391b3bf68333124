// Accepts connections and starts their sessions.
#include "net/listener.h"

#include "base/check.h"
#include "base/log.h"
#include "base/metrics.h"
#include "net/address.h"
#include "net/limits.h"
#include "net/loop_impl.h"
#include "net/tcp_stream.h"
#include "net/tls.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <cerrno>
#include <exception>
#include <mutex>
#include <utility>

#include <netinet/in.h>
#include <unistd.h>

namespace relais::net {
namespace {

constexpr int kBacklog = 4096;
constexpr int kAcceptsPerTurn = 64;                         // then the sessions get theirs
constexpr std::chrono::milliseconds kDescriptorPause{100};  // after accept ran out of descriptors
constexpr std::chrono::seconds kHandshakeLimit{30};         // for the TLS handshake of an implicit TLS port

class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

std::unexpected<Error> cannot_listen(const ListenerOptions& options, int error_number) {
  return fail(Fault::refused, "cannot listen on " + options.address + " port " + std::to_string(options.port) + " for " + options.name +
                                  ": " + std::system_category().message(error_number));
}

Result<Descriptor> bind_socket(const ListenerOptions& options, const SocketAddress& address, bool shared) {
  Descriptor fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return cannot_listen(options, errno);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (shared) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  // "::" is every address of the machine, those of IPv4 too, whatever the system's default is (net.ipv6.bindv6only).
  const int off = 0;
  if (address.family() == AF_INET6) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (::bind(fd.get(), address.get(), address.size) != 0) return cannot_listen(options, errno);
  return fd;
}

}  // namespace

struct Listener::Impl : std::enable_shared_from_this<Impl> {
  Impl(LoopPool& loop_pool, ListenerOptions listener_options, SessionStarter session_starter)
      : loops(loop_pool),
        options(std::move(listener_options)),
        starter(std::move(session_starter)),
        counts(options.max_connections, options.max_per_address) {}

  /// One loop's listening socket. Touched on that loop's thread alone once started.
  struct Door {
    explicit Door(Loop& l, int fd) : loop(l), descriptor(fd) {}
    Loop& loop;
    Descriptor descriptor;
    Watch* watch = nullptr;  ///< owns the socket from start() on; lives in accept_loop, so that it ends with its own loop
  };

  /// A place in the counts; given back when the session has ended.
  class Place {
   public:
    Place(std::shared_ptr<Impl> impl, AddressKey key) noexcept : impl_(std::move(impl)), key_(key) {}
    Place(Place&&) noexcept = default;
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (!impl_) return;
      impl_->counts.leave(key_);
      impl_->open.add(-1);
    }
    Impl& impl() noexcept { return *impl_; }

   private:
    std::shared_ptr<Impl> impl_;
    AddressKey key_;
  };

  static asio::awaitable<void> accept_loop(std::shared_ptr<Impl> self, Door& door);
  /// @return what accept failed with, or 0 where there is nothing more to accept now (or a turn is over)
  int accept_some(Door& door);
  void admit(Loop& loop, Descriptor socket, const SocketAddress& peer);
  void refuse(const Descriptor& socket, const SocketAddress& peer, ConnectionCounts::Answer why);
  static asio::awaitable<void> encrypt_and_run(std::shared_ptr<Impl> self, std::unique_ptr<Connection> connection);
  void on_each_door(void (Impl::*f)(Door&));
  void close_door(Door& door) {
    if (door.watch) door.watch->close();
  }
  void wake_door(Door& door) {
    if (door.watch) door.watch->cancel();
  }

  LoopPool& loops;
  const ListenerOptions options;
  const SessionStarter starter;
  ConnectionCounts counts;
  std::vector<std::unique_ptr<Door>> doors;
  std::uint16_t port = 0;
  std::atomic<bool> paused{false};
  metrics::Counter& accepted = metrics::counter("relais_net_accepted_total", "connections accepted", {{"listener", options.name}});
  metrics::Counter& refused =
      metrics::counter("relais_net_refused_total", "connections refused because of a limit", {{"listener", options.name}});
  metrics::Counter& tls_failed =
      metrics::counter("relais_net_tls_failed_total", "TLS handshakes that failed", {{"listener", options.name}});
  metrics::Counter& exceptions =
      metrics::counter("relais_net_session_exceptions_total", "exceptions that escaped a session", {{"listener", options.name}});
  metrics::Gauge& open = metrics::gauge("relais_net_connections", "connections open now", {{"listener", options.name}});
};

Result<std::unique_ptr<Listener>> Listener::open(LoopPool& loops, ListenerOptions options, SessionStarter starter) {
  RELAIS_TRY(auto address, parse_address(options.address, options.port));
  // SO_REUSEPORT would let a second process of the same user share the port in silence.
  if (options.port != 0) RELAIS_TRY_VOID(bind_socket(options, address, false));
  auto impl = std::make_shared<Impl>(loops, std::move(options), std::move(starter));
  for (std::size_t i = 0; i < loops.size(); ++i) {
    RELAIS_TRY(auto fd, bind_socket(impl->options, address, true));
    if (i == 0) {
      if (::getsockname(fd.get(), address.get(), &address.size) != 0) return cannot_listen(impl->options, errno);
      impl->port = address.port();
    }
    if (::listen(fd.get(), kBacklog) != 0) return cannot_listen(impl->options, errno);
    impl->doors.push_back(std::make_unique<Impl::Door>(loops.at(i), fd.release()));
  }
  return std::unique_ptr<Listener>(new Listener(std::move(impl)));
}

Listener::Listener(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Listener::~Listener() { stop(); }
std::uint16_t Listener::port() const noexcept { return impl_->port; }

void Listener::start() {
  for (auto& door : impl_->doors) asio::co_spawn(door->loop.context(), Impl::accept_loop(impl_, *door), asio::detached);
}

void Listener::Impl::on_each_door(void (Impl::*f)(Door&)) {
  for (auto& door : doors) door->loop.post([self = shared_from_this(), &door = *door, f] { (*self.*f)(door); });
}

void Listener::stop() { impl_->on_each_door(&Impl::close_door); }

void Listener::pause(bool paused) {
  impl_->paused.store(paused);
  impl_->on_each_door(&Impl::wake_door);
}

asio::awaitable<void> Listener::Impl::accept_loop(std::shared_ptr<Impl> self, Door& door) {
  Watch watch(door.loop.impl().poller, door.descriptor.release());
  door.watch = &watch;
  while (watch.fd() >= 0) {
    if (self->paused.load()) watch.drained();  // resumed by wake_door
    const int error_number = self->paused.load() ? 0 : self->accept_some(door);
    if (error_number != 0) {
      log::event(log::Level::error, "accept_failed",
                 {{"listener", self->options.name}, {"error", std::system_category().message(error_number)}});
      asio::steady_timer pause(door.loop.context(), kDescriptorPause);
      co_await pause.async_wait(asio::use_awaitable);
      continue;
    }
    co_await watch.wait_readable();
  }
  door.watch = nullptr;
}

int Listener::Impl::accept_some(Door& door) {
  auto& watch = *door.watch;
  for (int i = 0; i < kAcceptsPerTurn && watch.fd() >= 0; ++i) {
    SocketAddress peer;
    Descriptor socket(::accept4(watch.fd(), peer.get(), &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket.get() < 0) {
      switch (errno) {
        case EAGAIN: watch.drained(); return 0;
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM: return errno;
        default: continue;  // a connection that was gone before it was accepted: accept(2), "Error handling"
      }
    }
    const auto answer = counts.enter(address_key(peer), options.limit_loopback || !is_loopback(peer.address()));
    if (answer == ConnectionCounts::Answer::admitted)
      admit(door.loop, std::move(socket), peer);
    else
      refuse(socket, peer, answer);
  }
  return 0;
}

void Listener::Impl::refuse(const Descriptor& socket, const SocketAddress& peer, ConnectionCounts::Answer why) {
  refused.add();
  const bool total = why == ConnectionCounts::Answer::too_many;
  log::event(
      log::Level::info, "connection_refused",
      {{"listener", options.name}, {"peer", peer.address()}, {"reason", total ? "too many connections" : "too many from this address"}});
  if (!options.implicit_tls && !options.busy_reply.empty()) {
    [[maybe_unused]] const auto sent =
        ::send(socket.get(), options.busy_reply.data(), options.busy_reply.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }
}

void Listener::Impl::admit(Loop& loop, Descriptor socket, const SocketAddress& peer) {
  accepted.add();
  open.add(1);
  Place place(shared_from_this(), address_key(peer));
  Endpoints endpoints{peer.address(), peer.port(), {}, 0};
  SocketAddress local;
  if (::getsockname(socket.get(), local.get(), &local.size) == 0) {
    endpoints.local_address = local.address();
    endpoints.local_port = local.port();
  }
  auto stream = std::make_unique<TcpStream>(loop.impl().poller, socket.release());
  auto connection = std::make_unique<Connection>(loop, std::move(stream), std::move(endpoints));
  // The session's end, whichever way: its place is given back, and an exception is our bug (or no memory).
  auto ended = [place = std::move(place)](std::exception_ptr thrown) mutable {
    if (!thrown) return;
    auto& impl = place.impl();
    impl.exceptions.add();
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& exception) {
      log::event(log::Level::error, "session_exception", {{"listener", impl.options.name}, {"what", exception.what()}});
    }
  };
  auto session = options.implicit_tls ? encrypt_and_run(shared_from_this(), std::move(connection)) : starter(std::move(connection));
  asio::co_spawn(loop.context().get_executor(), std::move(session), std::move(ended));
}

asio::awaitable<void> Listener::Impl::encrypt_and_run(std::shared_ptr<Impl> self, std::unique_ptr<Connection> connection) {
  auto started = co_await connection->start_tls(*self->options.implicit_tls, in(kHandshakeLimit));
  if (!started) {
    self->tls_failed.add();
    log::event(log::Level::debug, "tls_failed",
               {{"listener", self->options.name},
                {"peer", connection->endpoints().peer_address},
                {"reason", started.error().detail.empty() ? started.error().text : started.error().detail}});
    co_return;
  }
  co_await self->starter(std::move(connection));
}

}  // namespace relais::net
