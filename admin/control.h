// Administrative commands over a local socket: one line of JSON there, one line back.
#pragma once

#include "admin/operations.h"
#include "net/loop.h"

#include <filesystem>
#include <memory>
#include <optional>

namespace relais::admin {

/// Answers administrative commands on a Unix socket that only the platform's user may open (mode 0600).
/// A request is {"operation": "account add", "request": {…}}, its answer {"result": {…}} or {"error": {"fault", "text", "detail"}}.
/// Threads: constructed and destroyed anywhere; it works on `loop`.
class ControlServer {
 public:
  /// Errors: Fault::temporary where the socket cannot be made. `backend` must outlive the server's loop.
  static Result<std::unique_ptr<ControlServer>> open(net::Loop& loop, const std::filesystem::path& socket, Backend& backend);
  ~ControlServer();
  void stop();

 private:
  struct Impl;
  explicit ControlServer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

/// Sends one command and waits for its answer. Blocks. @return nullopt where nothing listens on the socket
std::optional<Result<json>> ask_running_platform(const std::filesystem::path& socket, const std::string& operation, const json& request);

}  // namespace relais::admin
