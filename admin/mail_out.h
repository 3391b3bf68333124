// Everything that mail needs to leave: resolver, routes, TLS policies, the queue, signatures, limits; put together from the settings.
#pragma once

#include "admin/settings.h"
#include "antispam/sending_limits.h"
#include "directory/moves.h"
#include "directory/placement_gate.h"
#include "net/https.h"
#include "net/loop.h"
#include "net/worker_pool.h"
#include "smtp/outbound/hosts.h"
#include "smtp/outbound/legacy.h"
#include "smtp/outbound/mta_sts.h"
#include "smtp/outbound/route_rules.h"
#include "smtp/outbound/tls_report.h"
#include "smtp/queue/queue.h"
#include "smtp/server/outgoing.h"
#include "smtp/server/routing.h"
#include "smtp/server/session_relays.h"
#include "smtp/server/signing.h"
#include "smtp/server/transport.h"
#include "smtp/trace/log.h"
#include "storage/store.h"

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace relais::admin {

/// The queue's own storage opened, with what its commands need; nothing is sent. For the command line where no platform runs, and a part of MailOut.
class OpenQueue {
 public:
  /// @param transport, router  outlive it
  /// Errors: those of open_queue_shards and Queue::open. Blocks: it counts what is there.
  static Result<std::unique_ptr<OpenQueue>> open(const config::Values& settings, const std::filesystem::path& dir, net::WorkerPool& workers,
                                                 smtp::queue::Transport& transport, smtp::queue::Router& router, storage::Store& store, smtp::TraceLog& trace);
  ~OpenQueue();
  smtp::queue::Queue& queue() noexcept { return *queue_; }

 private:
  OpenQueue() = default;
  std::vector<std::unique_ptr<storage::Engine>> shards_;
  std::unique_ptr<smtp::queue::Queue> queue_;
};

/// What MailOut stands on. All of it outlives it.
struct MailOutParts {
  directory::MovingDirectory& directory;
  storage::Store& store;
  net::WorkerPool& workers;
  smtp::TraceLog& trace;
  directory::PlacementGate& gate;
};

/// Threads: constructed, started, stopped and destroyed on one; what sessions use is for any. Members are declared in the order in which they depend on
/// each other.
class MailOut {
 public:
  /// Opens everything; nothing is sent yet.
  static Result<std::unique_ptr<MailOut>> open(const config::Values& settings, const std::filesystem::path& dir, MailOutParts parts);
  ~MailOut();
  MailOut(const MailOut&) = delete;
  MailOut& operator=(const MailOut&) = delete;

  /// Attempts begin, and what is done from time to time: policies, reports, counters. The loops run; not on one of them.
  /// Errors: those of reading routes and legacy platforms.
  Result<void> start(net::LoopPool& loops);
  /// No attempt begins any more; waits for those under way. @return false where some were still going on at the limit
  bool stop(std::chrono::milliseconds limit);
  /// Writes what is kept of counters; after the loops have ended.
  void save();
  /// New limits, retry schedule.
  Result<void> reload(const config::Values& settings);

  const smtp::Outgoing& outgoing() const noexcept { return *outgoing_; }
  smtp::DeliveryParts delivery_parts() noexcept;
  smtp::queue::Queue& queue() noexcept { return queue_->queue(); }
  net::Resolver& resolver() noexcept { return *resolver_; }
  antispam::SendingLimits& sending() noexcept { return sending_; }
  /// A route was set or removed: look-ups see it from now on, and what waited for either destination is tried at once.
  net::Task<void> routes_changed(std::vector<std::string> destinations);
  /// A legacy platform was set or removed: likewise.
  net::Task<void> platform_changed(std::string name);

 private:
  MailOut(const config::Values& settings, const std::filesystem::path& dir, MailOutParts parts);
  Result<void> open_all(const config::Values& settings, const std::filesystem::path& dir);
  Result<void> open_policies(const config::Values& settings, const std::filesystem::path& dir);
  std::shared_ptr<const smtp::queue::Rules> rules() const;
  net::Task<void> refresh_routes();
  net::Task<void> refresh_platforms();
  net::Task<void> send_report(smtp::TlsReport report);
  net::Task<void> mail_report(const smtp::TlsReport& report);
  net::asio::awaitable<void> housekeeping();
  net::asio::awaitable<void> release(directory::AccountNumber account);
  void spawn(net::asio::awaitable<void> work);

  class QueueIntake;

  const MailOutParts parts_;
  net::LoopPool* loops_ = nullptr;  // once started
  const std::string hostname_;
  const std::filesystem::path sending_file_;
  std::string report_contact_;
  mutable std::mutex rules_mutex_;
  std::shared_ptr<const smtp::queue::Rules> rules_;  // guarded by rules_mutex_
  antispam::SendingLimits sending_;
  smtp::LegacyPlatforms legacy_;
  smtp::RouteRules route_rules_;
  smtp::Routing routing_;
  std::unique_ptr<net::Resolver> resolver_;
  std::shared_ptr<const net::TlsContext> client_tls_;
  std::unique_ptr<net::HttpsClient> https_;
  std::unique_ptr<smtp::MtaSts> sts_;
  std::unique_ptr<smtp::TlsReports> reports_;
  std::unique_ptr<smtp::Outbound> outbound_;
  std::unique_ptr<smtp::PlatformTransport> transport_;
  std::unique_ptr<OpenQueue> queue_;
  std::unique_ptr<QueueIntake> intake_;
  std::unique_ptr<smtp::SessionRelays> relays_;
  std::unique_ptr<smtp::Signing> signing_;
  std::unique_ptr<smtp::Outgoing> outgoing_;
};

}  // namespace relais::admin
