// What commands about mail under way work on: the running platform's, or opened on the data when a command needs it.
#pragma once

#include "admin/settings.h"
#include "antispam/sending_limits.h"
#include "net/resolver.h"
#include "smtp/queue/queue.h"
#include "smtp/trace/log.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace relais::admin {

class MailOut;

/// Threads: those of the operations, one at a time where no platform runs. What it gives lives as long as it does.
class MailAccess {
 public:
  explicit MailAccess(const config::Values& settings, std::filesystem::path dir) : settings_(settings), dir_(std::move(dir)) {}
  virtual ~MailAccess() = default;
  MailAccess(const MailAccess&) = delete;
  MailAccess& operator=(const MailAccess&) = delete;

  const config::Values& settings() const noexcept { return settings_; }
  const std::filesystem::path& dir() const noexcept { return dir_; }

  /// May block where no platform runs. Errors: of opening it.
  virtual Result<smtp::queue::Queue*> queue() = 0;
  virtual Result<net::Resolver*> resolver() = 0;
  virtual Result<antispam::SendingLimits*> sending() = 0;
  /// Everything added to the trace so far is in its files. Blocks: for a worker.
  virtual void flush_trace() = 0;
  /// Routes have changed; `destinations` are those that led somewhere else before, and those that are new.
  virtual net::Task<void> routes_changed(std::vector<std::string> destinations) = 0;
  /// A legacy platform was set or removed.
  virtual net::Task<void> platform_changed(std::string name) = 0;

 private:
  const config::Values& settings_;
  const std::filesystem::path dir_;
};

/// Of a platform that runs. `out` and `trace` outlive it.
std::unique_ptr<MailAccess> running_mail(const config::Values& settings, std::filesystem::path dir, MailOut& out, smtp::FileTraceLog& trace);

/// On the data: nothing is sent.
std::unique_ptr<MailAccess> mail_on_the_data(const config::Values& settings, std::filesystem::path dir, directory::Directory& directory, storage::Store& store,
                                             net::WorkerPool& workers);

}  // namespace relais::admin
