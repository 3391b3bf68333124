// The signals that an administrator or a service manager sends.
#pragma once

#include "net/loop.h"

#include <functional>
#include <memory>

namespace relais::net {

/// SIGTERM and SIGINT call `stop`, SIGHUP calls `reload`, on the loop's thread, each as often as it comes. SIGPIPE is ignored.
/// One object per process; the signals have their default effect again when it is gone.
class Signals {
 public:
  Signals(Loop& loop, std::function<void()> stop, std::function<void()> reload);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace relais::net
