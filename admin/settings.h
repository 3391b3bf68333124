// The settings of the whole platform: every component's keys in one schema, and what they mean to the components.
#pragma once

#include "antispam/rate_limits.h"
#include "base/config.h"
#include "base/log.h"
#include "base/result.h"
#include "directory/lmdb_directory.h"
#include "imap/server/server.h"
#include "net/tls.h"
#include "pop/server/server.h"
#include "smtp/server/delivery.h"
#include "smtp/server/options.h"
#include "storage/model/open_store.h"

#include <filesystem>
#include <string>
#include <vector>

namespace relais::admin {

/// Every key that DIR/relais.toml may hold.
const config::Schema& settings_schema();

/// Reads DIR/relais.toml. Errors: Fault::refused, text `file:line: what is wrong; what is allowed`, or that DIR holds no platform.
Result<config::Values> load_settings(const std::filesystem::path& dir);

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
storage::StoreOptions store_options(const config::Values& settings, const std::filesystem::path& dir, net::WorkerPool& pool);
antispam::RateLimitOptions rate_limits(const config::Values& settings);
smtp::DeliveryOptions delivery_options(const config::Values& settings);
smtp::Options smtp_options(const config::Values& settings, const std::filesystem::path& dir, smtp::Service service);
imap::Options imap_options(const config::Values& settings, const std::filesystem::path& dir);
pop::Options pop_options(const config::Values& settings);

}  // namespace relais::admin
