// The settings of the whole platform: every component's keys in one schema, and what they mean to the components.
#pragma once

#include "antispam/rate_limits.h"
#include "antispam/sending_limits.h"
#include "base/config.h"
#include "base/log.h"
#include "base/result.h"
#include "directory/lmdb_directory.h"
#include "imap/server/server.h"
#include "migrate/cutover.h"
#include "net/tls.h"
#include "net/unbound_resolver.h"
#include "pop/server/server.h"
#include "smtp/outbound/hosts.h"
#include "smtp/queue/queue.h"
#include "smtp/queue/rules.h"
#include "smtp/server/delivery.h"
#include "smtp/server/options.h"
#include "smtp/trace/log.h"
#include "storage/model/open_store.h"

#include <filesystem>
#include <string>
#include <vector>

namespace relais::admin {

/// Every key that DIR/relais.toml may hold.
const config::Schema& settings_schema();

/// Reads DIR/relais.toml. Errors: Fault::refused, text `file:line: what is wrong; what is allowed`, or that DIR holds no platform.
Result<config::Values> load_settings(const std::filesystem::path& dir);

/// What the schema cannot say: addresses, hosts. Errors: Fault::refused naming the key. load_settings() has done it.
Result<void> check_settings(const config::Values& settings);

/// What `relais config defaults` and `relais config reference` print.
std::string render_default_settings();
std::string render_settings_reference();

// From values to the components' options. Relative paths in the file are relative to DIR.
log::Level log_level(const config::Values& settings);
log::Format log_format(const config::Values& settings);
/// The name that the platform gives itself in greetings and trace fields: the setting, else the machine's.
std::string host_name(const config::Values& settings);
std::vector<net::CertificateFiles> certificate_files(const config::Values& settings, const std::filesystem::path& dir);
directory::LmdbDirectoryOptions directory_options(const config::Values& settings, const std::filesystem::path& dir);
storage::LmdbOptions engine_options(const config::Values& settings);
storage::StoreOptions store_options(const config::Values& settings, const std::filesystem::path& dir, net::WorkerPool& pool);
antispam::RateLimitOptions rate_limits(const config::Values& settings);
antispam::SendingLimitOptions sending_limits(const config::Values& settings);
smtp::queue::QueueOptions queue_options(const config::Values& settings);
smtp::queue::QueueStorageOptions queue_storage(const config::Values& settings, const std::filesystem::path& dir, net::WorkerPool& pool);
smtp::queue::Rules queue_rules(const config::Values& settings);
smtp::OutboundOptions outbound_options(const config::Values& settings);   ///< without a rule: the platform adds it
net::UnboundSettings resolver_settings(const config::Values& settings);
smtp::TraceOptions trace_options(const config::Values& settings, const std::filesystem::path& dir);
smtp::DeliveryOptions delivery_options(const config::Values& settings);
smtp::Options smtp_options(const config::Values& settings, const std::filesystem::path& dir, smtp::Service service);
imap::Options imap_options(const config::Values& settings, const std::filesystem::path& dir);
pop::Options pop_options(const config::Values& settings);
migrate::MoveOptions move_options(const config::Values& settings);

}  // namespace relais::admin
