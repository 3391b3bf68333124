// Pipes that are opened once and used for many transfers.
#include "net/pipe_pool.h"

#include <array>

#include <fcntl.h>
#include <unistd.h>

namespace relais::net {

std::optional<KernelPipe> KernelPipe::open() noexcept {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) != 0) return std::nullopt;
  return KernelPipe(ends[0], ends[1]);
}

KernelPipe::~KernelPipe() {
  if (out_ < 0) return;
  ::close(out_);
  ::close(in_);
}

std::optional<KernelPipe> PipePool::take() noexcept {
  if (free_.empty()) return KernelPipe::open();
  std::optional<KernelPipe> pipe(std::move(free_.back()));
  free_.pop_back();
  return pipe;
}

void PipePool::give(KernelPipe pipe) {
  if (free_.size() < kKept) free_.push_back(std::move(pipe));
}

}  // namespace relais::net
