// Names a Unix socket in a folder however long the folder's path is.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <string>

namespace relais::admin {

/// A socket address holds 107 octets of path; a platform's directory may be longer. While this lives, text() names the same file through the
/// folder's descriptor and is short.
class SocketPath {
 public:
  explicit SocketPath(const std::filesystem::path& socket)
      : folder_(::open(socket.parent_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)),
        text_("/proc/self/fd/" + std::to_string(folder_) + "/" + socket.filename().string()) {}
  ~SocketPath() {
    if (folder_ >= 0) ::close(folder_);
  }
  SocketPath(const SocketPath&) = delete;
  SocketPath& operator=(const SocketPath&) = delete;
  const std::string& text() const noexcept { return text_; }

 private:
  int folder_;
  std::string text_;
};

}  // namespace relais::admin
