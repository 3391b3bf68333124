// Turns signals into calls on a loop.
#include "net/signals.h"

#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>

#include <csignal>

namespace relais::net {

struct Signals::Impl : std::enable_shared_from_this<Impl> {
  Impl(Loop& loop, std::function<void()> on_stop, std::function<void()> on_reload)
      : set(loop.context(), SIGTERM, SIGINT, SIGHUP), stop(std::move(on_stop)), reload(std::move(on_reload)) {}

  void wait() {
    // Weak: the set would own the handler and the handler the set.
    set.async_wait([weak = weak_from_this()](const boost::system::error_code& error, int number) {
      const auto self = weak.lock();
      if (error || !self) return;
      (number == SIGHUP ? self->reload : self->stop)();
      self->wait();
    });
  }

  asio::signal_set set;
  std::function<void()> stop;
  std::function<void()> reload;
};

Signals::Signals(Loop& loop, std::function<void()> stop, std::function<void()> reload)
    : impl_(std::make_shared<Impl>(loop, std::move(stop), std::move(reload))) {
  std::signal(SIGPIPE, SIG_IGN);
  impl_->wait();
}

Signals::~Signals() = default;

}  // namespace relais::net
