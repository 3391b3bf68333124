// Pipes through which the kernel moves octets from socket to socket. Internal to net/.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace relais::net {

/// Both ends of a pipe, non-blocking. Movable.
class KernelPipe {
 public:
  /// nullopt where the process may open no more files.
  static std::optional<KernelPipe> open() noexcept;
  KernelPipe(KernelPipe&& other) noexcept : out_(std::exchange(other.out_, -1)), in_(std::exchange(other.in_, -1)) {}
  KernelPipe& operator=(KernelPipe&& other) noexcept {
    std::swap(out_, other.out_);
    std::swap(in_, other.in_);
    return *this;
  }
  ~KernelPipe();
  int out() const noexcept { return out_; }  ///< to read from
  int in() const noexcept { return in_; }    ///< to write to

 private:
  KernelPipe(int out, int in) noexcept : out_(out), in_(in) {}
  int out_;
  int in_;
};

/// Empty pipes of one loop, kept for the next who needs one. Threads: the loop's.
class PipePool {
 public:
  static constexpr std::size_t kKept = 8;
  std::optional<KernelPipe> take() noexcept;
  /// @param pipe  empty
  void give(KernelPipe pipe);

 private:
  std::vector<KernelPipe> free_;
};

}  // namespace relais::net
