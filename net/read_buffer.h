// Octets read and not yet consumed: no memory while there are none. Internal to net/.
#pragma once

#include "net/loop_impl.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string_view>

namespace relais::net {

/// What a connection has read. Small leftovers are in a block of their own, large reads stay in the pool's buffer they were
/// read into, so that bulk data is never copied here.
class ReadBuffer {
 public:
  explicit ReadBuffer(BufferPool& pool) noexcept : pool_(pool) {}
  ~ReadBuffer() { release(); }
  ReadBuffer(const ReadBuffer&) = delete;
  ReadBuffer& operator=(const ReadBuffer&) = delete;

  std::string_view view() const noexcept { return {data_.get() + begin_, static_cast<std::size_t>(end_ - begin_)}; }
  bool empty() const noexcept { return begin_ == end_; }
  void consume(std::size_t n) noexcept;
  void clear() noexcept { release(); }
  /// Reads once through `read(span<char>) -> Result<size_t>`; gives what it gave.
  template <class Read>
  Result<std::size_t> fill(Read&& read);
  /// Before a long wait: gives memory back that the octets do not need.
  void trim();

 private:
  static constexpr std::size_t kCopied = 8 * 1024;     ///< reads up to this are copied out of the pool's buffer
  static constexpr std::size_t kMinDirect = 4 * 1024;  ///< room that is worth reading into
  void release() noexcept;
  void resize(std::size_t capacity);
  bool pooled() const noexcept { return capacity_ == BufferPool::kSize; }

  BufferPool& pool_;
  std::unique_ptr<char[]> data_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t capacity_ = 0;
};

template <class Read>
Result<std::size_t> ReadBuffer::fill(Read&& read) {
  const auto held = view().size();
  if (held > kCopied) {
    if (capacity_ - end_ < kMinDirect) resize(2 * held + kMinDirect);
    auto got = read(std::span<char>(data_.get() + end_, capacity_ - end_));
    if (got) end_ += *got;
    return got;
  }
  auto buffer = pool_.take();
  auto got = read(std::span<char>(buffer.get() + held, BufferPool::kSize - held));
  if (got && held + *got > kCopied) {
    if (held > 0) std::memcpy(buffer.get(), view().data(), held);
    release();
    data_ = std::move(buffer);
    end_ = held + *got;
    capacity_ = BufferPool::kSize;
    return got;
  }
  if (got && *got > 0) {
    if (capacity_ - end_ < *got) resize(std::max(held + *got, 2 * held));
    std::memcpy(data_.get() + end_, buffer.get() + held, *got);
    end_ += *got;
  }
  pool_.give(std::move(buffer));
  return got;
}

}  // namespace relais::net
