// write, fsync, rename, fsync of the directory.
#include "smtp/outbound/durable_file.h"

#include "base/random.h"

#include <cerrno>
#include <fstream>
#include <iterator>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

namespace relais::smtp {
namespace {

std::unexpected<Error> file_error(const std::filesystem::path& path, std::string_view what, int number) {
  return fail(Fault::temporary, "a file cannot be written", "",
              path.string() + ": " + std::string(what) + ": " + std::system_category().message(number));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const noexcept { return fd_; }

 private:
  int fd_;
};

Result<void> sync_directory(const std::filesystem::path& directory) {
  const Descriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0 || ::fsync(fd.get()) != 0) return file_error(directory, "fsync", errno);
  return {};
}

Result<void> write_synced(const std::filesystem::path& path, std::string_view octets) {
  const Descriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (fd.get() < 0) return file_error(path, "open", errno);
  while (!octets.empty()) {
    const auto n = ::write(fd.get(), octets.data(), octets.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return file_error(path, "write", errno);
    octets.remove_prefix(static_cast<std::size_t>(n));
  }
  if (::fsync(fd.get()) != 0) return file_error(path, "fsync", errno);
  return {};
}

}  // namespace

Result<void> replace_file(const std::filesystem::path& path, std::string_view octets) {
  const auto directory = path.parent_path();
  const auto unfinished = directory / (std::string(kUnfinished) + random_id(12));
  if (auto written = write_synced(unfinished, octets); !written) {
    ::unlink(unfinished.c_str());
    return written;
  }
  if (::rename(unfinished.c_str(), path.c_str()) != 0) {
    const int number = errno;
    ::unlink(unfinished.c_str());
    return file_error(path, "rename", number);
  }
  return sync_directory(directory);
}

Result<std::string> read_file(const std::filesystem::path& path, std::size_t limit) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) return fail(Fault::temporary, "a file cannot be read", "", path.string() + ": " + error.message());
  if (size > limit) return fail(Fault::temporary, "a file cannot be read", "", path.string() + ": too large");
  std::ifstream in(path, std::ios::binary);
  std::string out((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (in.bad() || !in.is_open()) return fail(Fault::temporary, "a file cannot be read", "", path.string());
  return out;
}

Result<void> remove_file(const std::filesystem::path& path) {
  if (::unlink(path.c_str()) != 0) {
    if (errno == ENOENT) return {};
    return file_error(path, "unlink", errno);
  }
  return sync_directory(path.parent_path());
}

Result<void> prepare_directory(const std::filesystem::path& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return fail(Fault::temporary, "a directory cannot be made", "", directory.string() + ": " + error.message());
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    std::error_code ignored;
    if (entry.path().filename().string().starts_with(kUnfinished)) std::filesystem::remove(entry.path(), ignored);
  }
  if (error) return fail(Fault::temporary, "a directory cannot be read", "", directory.string() + ": " + error.message());
  return {};
}

}  // namespace relais::smtp
