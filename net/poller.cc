// The epoll set of a loop: turns readiness into resumed coroutines.
#include "net/poller.h"

#include "base/check.h"

#include <cerrno>

#include <unistd.h>

namespace relais::net {

Watch::Watch(Poller& poller, int fd) : poller_(poller), fd_(fd) { poller_.add(*this); }

Watch::~Watch() { close(); }

void Watch::cancel() {
  reader_.post(Wake::cancelled);
  writer_.post(Wake::cancelled);
}

void Watch::close() noexcept {
  if (fd_ < 0) return;
  poller_.remove(*this);
  ::close(fd_);
  fd_ = -1;
  cancel();
}

Poller::Poller() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) { RELAIS_CHECK(epoll_ >= 0); }

Poller::~Poller() {
  RELAIS_CHECK(!watched_);
  ::close(epoll_);
}

void Poller::attach(asio::io_context& context) {
  watched_.emplace(context.get_executor(), epoll_);
  arm();
}

void Poller::abandon() noexcept {
  while (watches_ != nullptr) {
    Watch& watch = *watches_;
    remove(watch);
    // Destroying a waiter destroys its coroutine and with it, most often, the watch itself.
    const auto readers = watch.reader_.take();
    const auto writers = watch.writer_.take();
  }
  if (watched_) watched_->release();
  watched_.reset();
}

void Poller::add(Watch& watch) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &watch;
  RELAIS_CHECK(::epoll_ctl(epoll_, EPOLL_CTL_ADD, watch.fd_, &event) == 0);
  watch.next_ = watches_;
  if (watches_ != nullptr) watches_->previous_ = &watch;
  watches_ = &watch;
}

void Poller::remove(Watch& watch) noexcept {
  if (watch.previous_ == nullptr && watches_ != &watch) return;  // abandoned
  (watch.previous_ != nullptr ? watch.previous_->next_ : watches_) = watch.next_;
  if (watch.next_ != nullptr) watch.next_->previous_ = watch.previous_;
  watch.previous_ = watch.next_ = nullptr;
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, watch.fd_, nullptr);
  for (int i = first_; i < count_; ++i)
    if (events_[static_cast<std::size_t>(i)].data.ptr == &watch) events_[static_cast<std::size_t>(i)].data.ptr = nullptr;
}

void Poller::arm() {
  watched_->async_wait(asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code& error) {
    if (error) return;
    dispatch();
    arm();
  });
}

void Poller::dispatch() {
  count_ = ::epoll_wait(epoll_, events_.data(), kBatch, 0);
  for (first_ = 0; first_ < count_;) {
    const epoll_event event = events_[static_cast<std::size_t>(first_++)];
    auto* watch = static_cast<Watch*>(event.data.ptr);
    if (watch == nullptr) continue;  // closed by a handler of this batch
    const bool in = (event.events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    const bool out = (event.events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
    if ((event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) watch->hung_up_ = true;
    if (in) watch->readable_ = true;
    if (out) watch->writable_ = true;
    // A resumed coroutine may destroy the watch, so the writers' handlers are taken before a reader runs.
    auto readers = in ? watch->reader_.take() : WaitSlot::Handlers{};
    auto writers = out ? watch->writer_.take() : WaitSlot::Handlers{};
    for (auto* const handlers : {&readers, &writers}) {
      for (auto& handler : *handlers) {
        if (handler) std::move (*handler)(Wake::ready);
      }
    }
  }
  first_ = count_ = 0;
}

}  // namespace relais::net
