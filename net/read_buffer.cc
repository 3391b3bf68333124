// Memory of the octets a connection has read.
#include "net/read_buffer.h"

#include "base/check.h"

namespace relais::net {

void ReadBuffer::release() noexcept {
  if (data_ && pooled())
    pool_.give(std::move(data_));
  else
    data_.reset();
  begin_ = end_ = capacity_ = 0;
}

void ReadBuffer::consume(std::size_t n) noexcept {
  RELAIS_CHECK(n <= end_ - begin_);
  begin_ += n;
  if (begin_ == end_) release();
}

// Moves the octets to the front of a block of their own with room for `capacity`.
void ReadBuffer::resize(std::size_t capacity) {
  if (capacity == BufferPool::kSize) ++capacity;  // that size marks the pool's buffers
  auto block = std::make_unique_for_overwrite<char[]>(capacity);
  const auto held = view().size();
  if (held > 0) std::memcpy(block.get(), data_.get() + begin_, held);
  release();
  data_ = std::move(block);
  end_ = held;
  capacity_ = capacity;
}

void ReadBuffer::trim() {
  if (empty())
    release();
  else if (capacity_ > 2 * view().size())  // so that one octet at a time costs no copy each time
    resize(view().size());
}

}  // namespace relais::net
