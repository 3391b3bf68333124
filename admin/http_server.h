// The admin HTTP port: metrics for Prometheus and health checks for load balancers.
#pragma once

#include "base/result.h"
#include "net/loop.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace relais::admin {

/// GET /metrics        Prometheus text
/// GET /health/live    200 while the process runs
/// GET /health/ready   200 while new work is welcome, else 503 and the reason
/// Anything else is 404; other methods 405. Requests are small and few: one loop serves them.
class HttpServer {
 public:
  /// @param ready  says whether the platform can take mail and serve it now
  /// Errors: Fault::temporary where the port cannot be had.
  static Result<std::unique_ptr<HttpServer>> open(net::Loop& loop, const std::string& address, std::uint16_t port, std::function<Result<void>()> ready);
  ~HttpServer();
  void stop();
  std::uint16_t port() const noexcept;

 private:
  struct Impl;
  explicit HttpServer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace relais::admin
