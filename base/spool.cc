// A message's octets while it arrives.
#include "base/spool.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <system_error>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace relais {
namespace {

constexpr std::size_t kFirstBuffer = 4 * 1024;  // octets

std::unexpected<Error> spool_error(std::string_view operation, int error_number) {
  const bool full = error_number == ENOSPC || error_number == EDQUOT;
  return fail(Fault::temporary, full ? "not enough disk space" : "temporary storage failed", "",
              "spool: " + std::string(operation) + ": " + std::system_category().message(error_number));
}

}  // namespace

Spool::Spool(Spool&& other) noexcept { swap(other); }

Spool& Spool::operator=(Spool&& other) noexcept {
  Spool taken(std::move(other));
  swap(taken);
  return *this;
}

Spool::~Spool() {
  unmap();
  if (file_ >= 0) ::close(file_);
}

void Spool::swap(Spool& other) noexcept {
  std::swap(directory_, other.directory_);
  std::swap(buffer_, other.buffer_);
  std::swap(capacity_, other.capacity_);
  std::swap(used_, other.used_);
  std::swap(written_, other.written_);
  std::swap(file_, other.file_);
  std::swap(map_, other.map_);
  std::swap(mapped_, other.mapped_);
}

void Spool::unmap() noexcept {
  if (map_ != nullptr) ::munmap(map_, mapped_);
  map_ = nullptr;
  mapped_ = 0;
}

void Spool::clear() noexcept {
  unmap();
  if (file_ >= 0) {
    ::close(file_);
    file_ = -1;
    buffer_.reset();
    capacity_ = 0;
  }
  used_ = written_ = 0;
}

// realloc, so that large blocks are moved by the kernel and never held twice.
void Spool::grow(std::size_t at_least) {
  const auto capacity = std::min(kInMemory, std::max({at_least, 2 * capacity_, kFirstBuffer}));
  auto* const moved = static_cast<char*>(std::realloc(buffer_.get(), capacity));
  if (moved == nullptr) throw std::bad_alloc();
  static_cast<void>(buffer_.release());
  buffer_.reset(moved);
  capacity_ = capacity;
}

Result<void> Spool::open_file() {
  file_ = ::open(directory_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file_ >= 0) return {};
  if (errno != EOPNOTSUPP && errno != EISDIR) return spool_error("open", errno);
  std::string path = directory_ + "/spool-XXXXXX";  // a file system without O_TMPFILE
  file_ = ::mkostemp(path.data(), O_CLOEXEC);
  if (file_ < 0) return spool_error("mkostemp", errno);
  ::unlink(path.c_str());
  return {};
}

// The buffer's octets go to the file. After a failure part of them may be there already; written_ says what counts.
Result<void> Spool::write_out() {
  if (file_ < 0) RELAIS_TRY_VOID(open_file());
  for (std::size_t done = 0; done < used_;) {
    const auto n = ::pwrite(file_, buffer_.get() + done, used_ - done, static_cast<off_t>(written_ + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return spool_error("write", n < 0 ? errno : ENOSPC);
    done += static_cast<std::size_t>(n);
  }
  written_ += used_;
  used_ = 0;
  return {};
}

Result<void> Spool::append(std::string_view octets) {
  unmap();
  while (!octets.empty()) {
    if (used_ == kInMemory) RELAIS_TRY_VOID(write_out());
    const auto n = std::min(octets.size(), kInMemory - used_);
    if (capacity_ - used_ < n) grow(used_ + n);
    std::memcpy(buffer_.get() + used_, octets.data(), n);
    used_ += n;
    octets.remove_prefix(n);
  }
  return {};
}

Result<std::string_view> Spool::view() {
  if (file_ < 0 && written_ == 0) return std::string_view(buffer_.get(), used_);
  if (used_ > 0) {
    unmap();
    RELAIS_TRY_VOID(write_out());
  }
  if (map_ == nullptr) {
    auto* const at = ::mmap(nullptr, written_, PROT_READ, MAP_SHARED, file_, 0);
    if (at == MAP_FAILED) return spool_error("mmap", errno);
    map_ = static_cast<char*>(at);
    mapped_ = written_;
    buffer_.reset();
    capacity_ = 0;
  }
  return std::string_view(map_, mapped_);
}

}  // namespace relais
