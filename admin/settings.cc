// The schema of relais.toml, and the way from its values to the components' options.
#include "admin/settings.h"

#include "admin/layout.h"

#include <unistd.h>

namespace relais::admin {
namespace {

using namespace config;
namespace fs = std::filesystem;

Key port(std::string name, std::int64_t usual, std::string text) {
  return integer(std::move(name), usual, 0, 65'535, "port", std::move(text) + " 0: off.");
}

void add_platform(Schema& schema) {
  schema.section(
      "platform", "The process.",
      {text("hostname", "", "The name in greetings and trace fields. Empty: the machine's."),
       integer("threads", 0, 0, 1'024, "threads", "Event loops. 0: one per processor."),
       integer("workers", 0, 0, 1'024, "threads", "Workers for password hashes, large messages and slow disk reads. 0: one per processor."),
       integer("worker_queue", 4'096, 16, 1'000'000, "jobs", "Jobs that may wait for a worker; beyond it clients get a temporary failure."),
       duration("shutdown_limit", "30s", "0s", "1h", "How long a stop waits for what is in flight.")});
  schema.section("log", "Structured logs on standard error. Reloadable.",
                 {choice("level", "info", {"debug", "info", "warning", "error"}, "The least severe level that is written."),
                  choice("format", "logfmt", {"logfmt", "json"}, "One event a line.")});
  schema.section("listen", "Who listens where.",
                 {text("address", "0.0.0.0", "Numeric address of the mail ports; \"::\" takes IPv4 too."),
                  port("smtp", 25, "SMTP for other mail servers (MX)."), port("submission", 587, "Submission with STARTTLS."),
                  port("submissions", 465, "Submission over TLS."),
                  text("lmtp_address", "127.0.0.1", "Numeric address of LMTP. Whoever reaches it may deliver."), port("lmtp", 24, "LMTP."),
                  port("imap", 143, "IMAP with STARTTLS."), port("imaps", 993, "IMAP over TLS."), port("pop3", 110, "POP3 with STLS."),
                  port("pop3s", 995, "POP3 over TLS."), text("http_address", "127.0.0.1", "Numeric address of metrics and health checks."),
                  port("http", 8'080, "Metrics and health checks."),
                  integer("max_connections", 100'000, 1, 10'000'000, "connections", "At one time, per port."),
                  integer("max_per_address", 1'000, 1, 10'000'000, "connections",
                          "At one time, per port, from one IPv4 address or IPv6 /64; this machine is not limited.")});
  schema.section("tls", "TLS 1.2 and up. Certificates are read again on SIGHUP.",
                 {text("certificate", "tls/certificate.pem", "PEM file with the chain, used where the client names no other host."),
                  text("key", "tls/key.pem", "PEM file with its key.")});
  schema.repeated("certificate", "A further certificate, chosen by the host name that the client asks for (SNI).",
                  {required(text("certificate", "", "PEM file with the chain.")), required(text("key", "", "PEM file with its key."))});
}

void add_data(Schema& schema) {
  schema.section("storage", "Where mail lies. The number of shards is fixed once there are accounts.",
                 {integer("shards", 4, 1, 256, "shards", "Slices of the storage, each with its own index and committer."),
                  choice("compression", "lz4", {"lz4", "zstd", "none"}, "Of new messages: lz4 is quick, zstd a quarter smaller and slower to write and to read. What is there stays readable."),
                  size("segment_size", "256MB", "1MB", "4GB", "Size at which the next segment file begins."),
                  size("map_size", "1TB", "64MB", "64TB", "Address space for one shard's index: its upper limit, not memory."),
                  size("min_free", "64MB", "1MB", "1TB", "Free disk space below which new mail is refused.")});
  schema.section(
      "auth", "Logins.",
      {text("default_domain", "", "Domain of user names without one. Empty: none."),
       choice("plaintext", "loopback", {"never", "loopback", "always"}, "Passwords without TLS: never, only from this machine, or always."),
       text("tag_separator", "+", "Separates the user from a tag in addresses. Empty: no tags."),
       text("postmaster", "", "Gets mail for postmaster of every domain that has none itself."),
       duration("remember_logins", "5m", "0s", "1h", "How long a verified password is known without a slow hash."),
       boolean("upgrade_hashes", true, "Replace an imported hash by argon2id and SCRAM keys after a login.")});
}

void add_protocols(Schema& schema) {
  schema.section("smtp", "SMTP, submission and LMTP.",
                 {size("max_message_size", "50MB", "64KB", "2GB", "Largest message; announced as SIZE."),
                  integer("max_recipients", 1'000, 100, 100'000, "recipients", "Per message (RFC 5321: at least 100)."),
                  integer("max_received", 100, 20, 1'000, "fields", "Received fields that mean a loop (RFC 5321: at least 100)."),
                  duration("command_timeout", "5m", "10s", "1h", "For a command line (RFC 5321: 5 minutes)."),
                  duration("data_timeout", "3m", "10s", "1h", "Without an octet of a message (RFC 5321: 3 minutes)."),
                  integer("client_messages_per_minute", 60'000, 0, 100'000'000, "messages",
                          "From one address without login; this machine is not limited. 0: no limit."),
                  integer("account_messages_per_minute", 600, 0, 100'000'000, "messages", "Submitted by one account. 0: no limit.")});
  schema.section("imap", "IMAP.",
                 {size("append_limit", "64MB", "64KB", "2GB", "Largest message of an APPEND."),
                  integer("max_per_account", 1'000, 0, 1'000'000, "connections", "Connections of one account. 0: any number."),
                  duration("idle_limit", "30m", "30m", "24h", "Autologout (RFC 9051: at least 30 minutes).")});
  schema.section("pop3", "POP3.",
                 {duration("idle_limit", "10m", "10m", "24h", "Autologout (RFC 1939: at least 10 minutes)."),
                  boolean("mark_seen", true, "Retrieved messages are marked as seen.")});
}

std::string machine_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 && name[0] != '\0' ? std::string(name) : "localhost";
}

std::chrono::seconds seconds(const Values& settings, std::string_view key) {
  return std::chrono::duration_cast<std::chrono::seconds>(settings.duration(key));
}

}  // namespace

const Schema& settings_schema() {
  static const Schema schema = [] {
    Schema all;
    add_platform(all);
    add_data(all);
    add_protocols(all);
    return all;
  }();
  return schema;
}

Result<Values> load_settings(const fs::path& dir) {
  const Layout layout(dir);
  std::error_code ignored;
  if (!fs::exists(layout.config(), ignored))
    return fail(Fault::refused, dir.string() + " holds no platform (no relais.toml); relais init makes one");
  return load(settings_schema(), layout.config().string());
}

std::string render_default_settings() { return render_defaults(settings_schema()); }
std::string render_settings_reference() { return render_markdown(settings_schema()); }

log::Level log_level(const Values& settings) {
  const auto& level = settings.text("log.level");
  return level == "debug"     ? log::Level::debug
         : level == "info"    ? log::Level::info
         : level == "warning" ? log::Level::warning
                              : log::Level::error;
}

log::Format log_format(const Values& settings) { return settings.text("log.format") == "json" ? log::Format::json : log::Format::logfmt; }

std::string host_name(const Values& settings) {
  const auto& name = settings.text("platform.hostname");
  return name.empty() ? machine_name() : name;
}

std::vector<net::CertificateFiles> certificate_files(const Values& settings, const fs::path& dir) {
  std::vector<net::CertificateFiles> files{{dir / settings.text("tls.certificate"), dir / settings.text("tls.key")}};
  for (const auto& table : settings.tables("certificate")) files.push_back({dir / table.text("certificate"), dir / table.text("key")});
  return files;
}

directory::LmdbDirectoryOptions directory_options(const Values& settings, const fs::path& dir) {
  directory::LmdbDirectoryOptions options;
  options.path = Layout(dir).data() / "directory";
  options.shards = static_cast<std::uint16_t>(settings.integer("storage.shards"));
  options.default_domain = settings.text("auth.default_domain");
  const auto& separator = settings.text("auth.tag_separator");
  options.tag_separator = separator.empty() ? '\0' : separator.front();
  options.postmaster = settings.text("auth.postmaster");
  options.remember_logins = seconds(settings, "auth.remember_logins");
  options.upgrade_hashes = settings.boolean("auth.upgrade_hashes");
  return options;
}

storage::StoreOptions store_options(const Values& settings, const fs::path& dir, net::WorkerPool& pool) {
  storage::StoreOptions options;
  options.path = Layout(dir).data();
  options.shards = static_cast<unsigned>(settings.integer("storage.shards"));
  options.pool = &pool;
  options.compression = *storage::compression_named(settings.text("storage.compression"));
  options.engine.segment_size = settings.size("storage.segment_size");
  options.engine.map_size = settings.size("storage.map_size");
  options.engine.min_free = settings.size("storage.min_free");
  return options;
}

antispam::RateLimitOptions rate_limits(const Values& settings) {
  antispam::RateLimitOptions options;
  const auto per_minute = [&](std::string_view key) { return static_cast<double>(settings.integer(key)); };
  options.client_messages = {per_minute("smtp.client_messages_per_minute"), per_minute("smtp.client_messages_per_minute")};
  options.sender_messages = {per_minute("smtp.account_messages_per_minute"), per_minute("smtp.account_messages_per_minute")};
  return options;
}

smtp::DeliveryOptions delivery_options(const Values& settings) {
  smtp::DeliveryOptions options;
  options.hostname = host_name(settings);
  return options;
}

smtp::Options smtp_options(const Values& settings, const fs::path& dir, smtp::Service service) {
  smtp::Options options;
  options.service = service;
  options.hostname = host_name(settings);
  options.postmaster = settings.text("auth.postmaster");
  options.spool_directory = Layout(dir).spool();
  options.max_message_octets = settings.size("smtp.max_message_size");
  options.max_recipients = static_cast<std::uint32_t>(settings.integer("smtp.max_recipients"));
  options.max_received = static_cast<std::uint32_t>(settings.integer("smtp.max_received"));
  options.timeouts.command = seconds(settings, "smtp.command_timeout");
  options.timeouts.data_block = seconds(settings, "smtp.data_timeout");
  return options;
}

imap::Options imap_options(const Values& settings, const fs::path& dir) {
  imap::Options options;
  options.spool_directory = Layout(dir).spool();
  options.append_limit = settings.size("imap.append_limit");
  options.max_per_account = static_cast<std::uint32_t>(settings.integer("imap.max_per_account"));
  options.idle_limit = seconds(settings, "imap.idle_limit");
  return options;
}

pop::Options pop_options(const Values& settings) {
  pop::Options options;
  options.idle_limit = seconds(settings, "pop3.idle_limit");
  options.mark_seen = settings.boolean("pop3.mark_seen");
  return options;
}

}  // namespace relais::admin
