// Puts the roles together, in the order in which they depend on each other, and takes them apart again.
#include "admin/platform.h"

#include "base/log.h"
#include "imap/relay/handover_turns.h"
#include "net/address.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <sys/resource.h>

namespace relais::admin {
namespace {

// Left by a process that was killed between making a file and taking its name away. Only while the lock is held: the files of a process
// that lives have no name.
Result<void> empty_spool(const std::filesystem::path& spool) {
  std::error_code ec;
  std::filesystem::create_directories(spool, ec);
  for (std::filesystem::directory_iterator entry(spool, ec), end; !ec && entry != end; entry.increment(ec)) {
    std::filesystem::remove_all(entry->path(), ec);
    if (ec) break;
  }
  if (ec) return fail(Fault::temporary, "cannot prepare " + spool.string() + ": " + ec.message());
  return {};
}

// A connection is a descriptor: take all that the system gives.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

net::asio::awaitable<void> start_by_address(net::SessionStarter local, net::SessionStarter remote,
                                            std::unique_ptr<net::Connection> connection) {
  auto& starter = net::is_loopback(connection->endpoints().peer_address) ? local : remote;
  return starter(std::move(connection));
}

/// Chooses by the setting auth.plaintext: `make(allowed)` makes the starter of sessions that may or may not take a password without TLS.
template <class Make>
net::SessionStarter with_plaintext_policy(const std::string& policy, Make make) {
  if (policy != "loopback") return make(policy == "always");
  return [local = make(true), remote = make(false)](std::unique_ptr<net::Connection> connection) {
    return start_by_address(local, remote, std::move(connection));
  };
}

}  // namespace

Result<std::unique_ptr<Data>> Data::open(const Layout& layout, const config::Values& settings, net::WorkerPool& workers) {
  std::error_code ignored;
  std::filesystem::create_directories(layout.run(), ignored);
  RELAIS_TRY(auto lock, LockFile::take(layout.lock()));
  RELAIS_TRY(auto directory, directory::open_lmdb_directory(workers, directory_options(settings, layout.root)));
  RELAIS_TRY(auto store, storage::open_store(store_options(settings, layout.root, workers)));
  return std::unique_ptr<Data>(new Data(std::move(lock), std::move(directory), std::move(store)));
}

Platform::Platform(Layout layout, config::Values settings)
    : layout_(std::move(layout)),
      settings_(std::move(settings)),
      workers_(static_cast<unsigned>(settings_.integer("platform.workers")),
               static_cast<std::size_t>(settings_.integer("platform.worker_queue"))),
      loops_(static_cast<unsigned>(settings_.integer("platform.threads"))) {}

// A start that failed leaves loops that run.
Platform::~Platform() {
  if (!migration_) return;
  loops_.shutdown(std::chrono::milliseconds(0));
  migration_->end();
}

Result<std::unique_ptr<Platform>> Platform::start(const std::filesystem::path& dir, config::Values settings) {
  raise_descriptor_limit();
  std::unique_ptr<Platform> platform(new Platform(Layout(std::filesystem::absolute(dir)), std::move(settings)));
  RELAIS_TRY_VOID(platform->open());
  return platform;
}

Result<void> Platform::open() {
  RELAIS_TRY(tls_, net::TlsContext::server(certificate_files(settings_, layout_.root)));
  RELAIS_TRY(data_, Data::open(layout_, settings_, workers_));
  RELAIS_TRY_VOID(empty_spool(layout_.spool()));
  RELAIS_TRY(trace_, smtp::FileTraceLog::open(trace_options(settings_, layout_.root)));
  gate_ = std::make_unique<directory::PlacementGate>(*data_->directory);
  limits_ = std::make_unique<antispam::RateLimits>(rate_limits(settings_));
  RELAIS_TRY(out_, MailOut::open(settings_, layout_.root, MailOutParts{*data_->directory, *data_->store, workers_, *trace_, *gate_}));
  legacy_hosts_ = std::make_unique<directory::LegacyHosts>(out_->resolver());
  legacy_logins_ = std::make_unique<LegacyLogins>(directory_options(settings_, layout_.root), *data_->directory, *gate_, *legacy_hosts_, workers_,
                                                  host_name(settings_));
  delivery_ = std::make_unique<smtp::Delivery>(*data_->store, *data_->directory, delivery_options(settings_), system_clock(), out_->delivery_parts());
  mail_ = running_mail(settings_, layout_.root, *out_, *trace_);
  migration_ = std::make_unique<Migration>(settings_, layout_.root, MigrationParts{*data_->directory, *gate_, *data_->store, *legacy_hosts_, workers_});
  backend_ = std::make_unique<Backend>(data_->backend(workers_, *mail_, *migration_));
  RELAIS_TRY_VOID(open_listeners());

  auto& loop = loops_.at(0);
  RELAIS_TRY(control_, ControlServer::open(loop, layout_.socket(), *backend_));
  if (const auto port = settings_.integer("listen.http"); port != 0) {
    RELAIS_TRY(http_,
               HttpServer::open(loop, settings_.text("listen.http_address"), static_cast<std::uint16_t>(port), [this] { return ready(); }));
  }
  loops_.start();
  delivery_->start(loop);
  RELAIS_TRY_VOID(out_->start(loops_));
  migration_->open(loops_);
  RELAIS_TRY_VOID(watch_platforms());
  for (const auto& service : services_) service.listener->start();
  migration_->start();
  return {};
}

// Sessions announce before login what all legacy platforms have.
Result<void> Platform::watch_platforms() {
  const auto read = [this]() -> net::Task<void> {
    RELAIS_CO_TRY(const auto platforms, co_await data_->directory->platforms());
    std::vector<std::string> names;
    for (const auto& platform : platforms) {
      if (platform.imap.configured()) names.push_back(platform.name);
    }
    imap_capabilities_.set_platforms(names);
    co_return Result<void>{};
  };
  auto changed = [this, read](const std::string&) {
    net::asio::co_spawn(loops_.at(0).context(), read, [](std::exception_ptr thrown, Result<void> done) {
      if (thrown) std::rethrow_exception(thrown);
      if (!done) log::event(log::Level::error, "platforms not read", {{"reason", done.error().text}, {"detail", done.error().detail}});
    });
  };
  data_->directory->listen({.platform_changed = std::move(changed)});
  return net::asio::co_spawn(loops_.at(0).executor(), read(), net::asio::use_future).get();
}

Result<void> Platform::open_listeners() {
  const auto& policy = settings_.text("auth.plaintext");
  const smtp::Platform smtp_platform{*data_->directory, *delivery_, *data_->store, *limits_, throttle_, system_clock(), *trace_, &out_->outgoing(),
                                     &legacy_logins_->parts()};
  const auto smtp_starter = [&](smtp::Service service, bool starttls) {
    return with_plaintext_policy(policy, [&](bool allowed) {
      auto options = smtp_options(settings_, layout_.root, service);
      options.allow_plaintext_auth = allowed;
      return smtp::make_service(options, smtp_platform, starttls ? tls_ : nullptr);
    });
  };
  const auto smtp_busy = smtp::busy_reply(smtp_options(settings_, layout_.root, smtp::Service::mx));
  RELAIS_TRY_VOID(listen("smtp", smtp_starter(smtp::Service::mx, true), false, smtp_busy));
  RELAIS_TRY_VOID(listen("submission", smtp_starter(smtp::Service::submission, true), false, smtp_busy));
  RELAIS_TRY_VOID(listen("submissions", smtp_starter(smtp::Service::submission, false), true, smtp_busy));
  RELAIS_TRY_VOID(listen("lmtp", smtp_starter(smtp::Service::lmtp, true), false, smtp_busy));

  // The policy may make two servers of a protocol; what limits an account or the process is counted once.
  const imap::Services imap_services{.directory = data_->directory.get(),
                                     .store = data_->store.get(),
                                     .relay = {data_->directory.get(), legacy_hosts_.get(), gate_.get(), &imap_capabilities_, &legacy_logins_->parts(),
                                               [this](directory::AccountNumber account) { return migration_->moves_soon(account); }, {},
                                               std::make_shared<imap::HandoverTurns>()},
                                     .tls = tls_,
                                     .throttle = &throttle_,
                                     .connections = std::make_shared<imap::AccountConnections>()};
  const auto imap_starter = with_plaintext_policy(policy, [&](bool allowed) {
    auto options = imap_options(settings_, layout_.root);
    options.allow_plaintext = allowed;
    return imap::session_starter(std::make_shared<imap::Server>(imap_services, options));
  });
  RELAIS_TRY_VOID(listen("imap", imap_starter, false, "* BYE too many connections\r\n"));
  RELAIS_TRY_VOID(listen("imaps", imap_starter, true, ""));

  const pop::Services pop_services{.directory = data_->directory.get(),
                                   .store = data_->store.get(),
                                   .relay = {data_->directory.get(), legacy_hosts_.get(), gate_.get(), &legacy_logins_->parts()},
                                   .tls = tls_,
                                   .throttle = &throttle_,
                                   .locks = std::make_shared<pop::MaildropLocks>(),
                                   .prefetched = std::make_shared<std::atomic<std::size_t>>(0)};
  const auto pop_starter = with_plaintext_policy(policy, [&](bool allowed) {
    auto options = pop_options(settings_);
    options.allow_plaintext = allowed;
    return pop::session_starter(std::make_shared<pop::Server>(pop_services, options));
  });
  RELAIS_TRY_VOID(listen("pop3", pop_starter, false, "-ERR [SYS/TEMP] too many connections\r\n"));
  return listen("pop3s", pop_starter, true, "");
}

Result<void> Platform::listen(const std::string& name, net::SessionStarter starter, bool implicit_tls, std::string busy_reply) {
  const auto port = settings_.integer("listen." + name);
  if (port == 0) return {};
  net::ListenerOptions options{.name = name,
                               .address = settings_.text(name == "lmtp" ? "listen.lmtp_address" : "listen.address"),
                               .port = static_cast<std::uint16_t>(port),
                               .implicit_tls = implicit_tls ? tls_ : nullptr,
                               .max_connections = static_cast<std::uint32_t>(settings_.integer("listen.max_connections")),
                               .max_per_address = static_cast<std::uint32_t>(settings_.integer("listen.max_per_address")),
                               .busy_reply = std::move(busy_reply)};
  auto address = options.address;
  RELAIS_TRY(auto listener, net::Listener::open(loops_, std::move(options), std::move(starter)));
  services_.push_back({name, std::move(address), std::move(listener)});
  return {};
}

Result<void> Platform::ready() const {
  for (storage::ShardNumber shard = 0; shard < data_->store->shards(); ++shard) {
    if (auto writable = data_->store->writable(shard); !writable) {
      return fail(Fault::temporary, "shard " + std::to_string(shard) + " refuses writes: " + writable.error().text);
    }
  }
  return {};
}

std::string Platform::ready_line() const {
  std::string line = "ready";
  const auto add = [&](const std::string& name, const std::string& address, std::uint16_t port) {
    const bool v6 = address.find(':') != std::string::npos;
    line += " " + name + "=" + (v6 ? "[" + address + "]" : address) + ":" + std::to_string(port);
  };
  for (const auto& service : services_) add(service.name, service.address, service.listener->port());
  if (http_) add("http", settings_.text("listen.http_address"), http_->port());
  return line;
}

Result<void> Platform::reload() {
  RELAIS_TRY(auto fresh, load_settings(layout_.root));
  RELAIS_TRY_VOID(tls_->reload());
  RELAIS_TRY_VOID(out_->reload(fresh));
  log::configure(log_level(fresh), log_format(fresh));
  return {};
}

bool Platform::stop() {
  for (const auto& service : services_) service.listener->stop();
  // Attempts under way are repeated after the restart, and a host that had taken a message gets it twice: worth waiting for.
  const auto limit = settings_.duration("platform.shutdown_limit");
  const auto began = std::chrono::steady_clock::now();
  const auto left = [&] {
    const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began);
    return std::max(limit - passed, std::chrono::milliseconds(0));
  };
  migration_->stop();
  bool clean = out_->stop(limit);
  clean = migration_->await_stopped(left()) && clean;
  clean = loops_.shutdown(left()) && clean;
  migration_->end();
  // Sessions may be left that wait for a worker or a commit: after these two nobody resumes them, and the loops may end.
  workers_.stop();
  out_->save();
  control_.reset();
  http_.reset();
  data_->store->close();
  return clean;
}

}  // namespace relais::admin
