// What the tests of outbound share: a DNS, loops, workers, a clock, a directory.
#pragma once

#include "base/clock.h"
#include "net/fake_resolver.h"
#include "net/test_support.h"
#include "net/worker_pool.h"

#include <chrono>
#include <filesystem>
#include <string>
#include <utility>

#include <stdlib.h>

namespace relais::smtp {

/// A directory that is gone when the test is.
class OutboundDirectory {
 public:
  OutboundDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "relais-outbound-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    path_ = pattern;
  }
  ~OutboundDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  OutboundDirectory(const OutboundDirectory&) = delete;
  OutboundDirectory& operator=(const OutboundDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

struct OutboundParts {
  OutboundParts() { loops.start(); }
  template <class T>
  T run(net::asio::awaitable<T> coroutine, std::size_t loop = 0) {
    return net::run_on(loops.at(loop), std::move(coroutine));
  }
  void advance(std::chrono::seconds by) { clock.advance(by); }

  OutboundDirectory directory;
  ManualClock clock;
  net::LoopPool loops{2};  // outlives what resumes on it
  net::FakeResolver dns;
  net::WorkerPool workers{2, 1000};
};

}  // namespace relais::smtp
