// The schema of relais.toml, and the way from its values to the components' options.
#include "admin/settings.h"

#include "admin/layout.h"
#include "net/address.h"

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
                  list("relay_from", {}, "Networks (\"192.0.2.0/24\", \"2001:db8::/32\", single addresses) whose machines may send everywhere without login."),
                  duration("max_hold", "30d", "0s", "365d", "How long a submitted message may ask to be held (FUTURERELEASE, RFC 4865). 0: not offered."),
                  integer("max_priority", 4, 0, 9, "level", "The highest MT-PRIORITY (RFC 6710) that an account may ask for; lower ones are always taken."),
                  integer("client_messages_per_minute", 60'000, 0, 100'000'000, "messages", "From one address without login; this machine is not limited. 0: no limit."),
                  integer("account_messages_per_minute", 600, 0, 100'000'000, "messages", "Submitted by one account. 0: no limit.")});
  schema.section("sending", "How much one account may send, so that a stolen password does not make the platform a source of spam. 0: no limit. Reloadable.",
                 {integer("messages_per_hour", 300, 0, 100'000'000, "messages", "Submitted in any hour."),
                  integer("messages_per_day", 1'500, 0, 100'000'000, "messages", "Submitted in any day."),
                  integer("recipients_per_hour", 1'000, 0, 100'000'000, "recipients", "Of these messages in any hour."),
                  integer("recipients_per_day", 5'000, 0, 100'000'000, "recipients", "Of these messages in any day.")});
  schema.section("imap", "IMAP.",
                 {size("append_limit", "64MB", "64KB", "2GB", "Largest message of an APPEND."),
                  integer("max_per_account", 1'000, 0, 1'000'000, "connections", "Connections of one account. 0: any number."),
                  duration("idle_limit", "30m", "30m", "24h", "Autologout (RFC 9051: at least 30 minutes).")});
  schema.section("pop3", "POP3.",
                 {duration("idle_limit", "10m", "10m", "24h", "Autologout (RFC 1939: at least 10 minutes)."),
                  boolean("mark_seen", true, "Retrieved messages are marked as seen.")});
}

void add_queue(Schema& schema) {
  schema.section("queue", "Mail that waits or leaves. The limits and the retry schedule are reloadable; [[destination]] overrides them.",
                 {integer("shards", 2, 1, 100, "shards", "Slices of the queue's storage, each with its own committer. Fewer than there were: the others are emptied first."),
                  duration("lifetime", "5d", "1m", "30d", "After it what is left is returned to the sender (RFC 5321: 4 to 5 days)."),
                  duration("delay_notice", "4h", "0s", "30d", "After it the sender hears that delivery takes longer. 0: never."),
                  integer("connections", 500, 1, 100'000, "connections", "To other hosts at one time, in all."),
                  integer("concurrency", 20, 1, 1'000, "connections", "To one destination at one time, at most."),
                  integer("rate", 0, 0, 1'000'000, "messages per minute", "To one destination, at most. 0: no limit."),
                  integer("messages_per_connection", 100, 1, 100'000, "messages", "Sent before a connection is closed."),
                  integer("recipients_per_transaction", 100, 1, 10'000, "recipients", "Of one message in one transaction (RFC 5321: every server takes 100)."),
                  duration("first_retry", "2m", "1s", "1d", "Pause after the first failure; it doubles with each further one …"),
                  duration("longest_retry", "2h", "1s", "7d", "… up to this."),
                  text("source_address", "", "Numeric address that connections come from. Empty: the system chooses.")});
  schema.repeated("destination", "What is different for one destination. Reloadable.",
                  {required(text("match", "", "\"example.net\", \"*.example.net\" (all below it), or a destination as `relais queue destinations` shows it.")),
                   integer("concurrency", 0, 0, 1'000, "connections", "0: as [queue]."), integer("rate", 0, 0, 1'000'000, "messages per minute", "0: as [queue]."),
                   integer("messages_per_connection", 0, 0, 100'000, "messages", "0: as [queue]."),
                   integer("recipients_per_transaction", 0, 0, 10'000, "recipients", "0: as [queue]."),
                   duration("first_retry", "0s", "0s", "1d", "0s: as [queue]."), duration("longest_retry", "0s", "0s", "7d", "0s: as [queue]."),
                   text("source_address", "", "Empty: as [queue]."),
                   choice("tls", "auto", {"auto", "none", "may", "encrypt", "verify"},
                          "How much TLS: auto is what the domain itself asks for (DANE, MTA-STS), else may.")});
  schema.section("outbound", "How other hosts are found and what their TLS must prove.",
                 {choice("addresses", "ipv6_first", {"ipv6_first", "ipv4_first", "mixed", "ipv6_only", "ipv4_only"}, "Which addresses of a host are tried, in which order."),
                  boolean("dane", true, "DANE (RFC 7672); needs DNSSEC, see [dns]."), boolean("mta_sts", true, "MTA-STS (RFC 8461)."),
                  text("ca_file", "", "PEM file with the authorities that certificates of other hosts are checked against. Empty: the system's."),
                  boolean("tls_reports", true, "Count what came of TLS and tell other domains that want to know (TLSRPT, RFC 8460)."),
                  text("report_contact", "", "Address that TLS reports come from. Empty: postmaster at the platform's host name."),
                  integer("mx_port", 25, 1, 65'535, "port", "Of MX hosts. Other than 25 only for tests."),
                  boolean("local_mx", false, "Take MX hosts at loopback addresses for good. Only for tests.")});
  schema.section("dns", "The resolver in the program: validating, caching.",
                 {list("forwarders", {}, "Servers to ask: \"192.0.2.53\", \"192.0.2.53@5353\". None: those of resolv_conf."),
                  text("resolv_conf", "/etc/resolv.conf", "Where there are no forwarders: the file that names them. Empty: the DNS is walked from the root."),
                  text("trust_anchor", "/usr/share/dns/root.key", "The root's DNSSEC keys. Empty, or no such file: nothing is ever secure, and DANE is not used."),
                  boolean("dnssec_required", false,
                          "Every name fails where the servers that are asked do not pass DNSSEC on; false: names are not validated there, DANE is not used, and the log says so."),
                  list("open_zones", {}, "Reserved zones (\"test.\") to be asked for all the same."),
                  list("local_data", {}, "Records that are answered from here: \"mail.example.net. A 192.0.2.1\"."),
                  size("cache", "16MB", "1MB", "4GB", "Memory for answers.")});
  schema.section("trace", "The life of each message, for `relais trace`.",
                 {duration("retention", "30d", "0s", "3650d", "How long files are kept. 0: for ever."),
                  size("buffer", "8MB", "64KB", "1GB", "What may wait for the disk; beyond it events are lost and counted.")});
}

void add_migrate(Schema& schema) {
  schema.section("migrate", "Moving accounts here from legacy platforms.",
                 {integer("at_once", 8, 1, 1'000, "accounts", "That are copied or switched at one time: as many connections to their platforms."),
                  duration("freeze_limit", "10s", "1s", "60s", "How long an account may be served by nobody while it is switched; beyond it, it stays where it is, and is tried again later."),
                  duration("pause", "5s", "1s", "1h", "Between two looks at what has changed in an account that is copied; up to 60 times as long where nothing has."),
                  duration("retry", "5m", "1s", "1d", "After a look or a switch that failed; doubled each time, up to 48 times as long.")});
}

std::string machine_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 && name[0] != '\0' ? std::string(name) : "localhost";
}

std::chrono::seconds seconds(const Values& settings, std::string_view key) {
  return std::chrono::duration_cast<std::chrono::seconds>(settings.duration(key));
}

/// Where mail for MX hosts comes in here: an MX record that leads there leads to ourselves (RFC 5321 §5.1).
std::vector<std::string> mx_addresses(const Values& settings) {
  if (settings.integer("listen.smtp") != settings.integer("outbound.mx_port")) return {};
  const auto listening = net::parse_address(settings.text("listen.address"), 0);
  if (!listening) return {};
  auto address = listening->address();
  if (address != "0.0.0.0" && address != "::") return {std::move(address)};
  return net::interface_addresses();
}

}  // namespace

const Schema& settings_schema() {
  static const Schema schema = [] {
    Schema all;
    add_platform(all);
    add_data(all);
    add_protocols(all);
    add_queue(all);
    add_migrate(all);
    return all;
  }();
  return schema;
}

Result<Values> load_settings(const fs::path& dir) {
  const Layout layout(dir);
  std::error_code ignored;
  if (!fs::exists(layout.config(), ignored)) return fail(Fault::refused, dir.string() + " holds no platform (no relais.toml); relais init makes one");
  RELAIS_TRY(auto settings, load(settings_schema(), layout.config().string()));
  RELAIS_TRY_VOID(check_settings(settings));
  return settings;
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

storage::LmdbOptions engine_options(const Values& settings) {
  storage::LmdbOptions options;
  options.segment_size = settings.size("storage.segment_size");
  options.map_size = settings.size("storage.map_size");
  options.min_free = settings.size("storage.min_free");
  return options;
}

storage::StoreOptions store_options(const Values& settings, const fs::path& dir, net::WorkerPool& pool) {
  storage::StoreOptions options;
  options.path = Layout(dir).data();
  options.shards = static_cast<unsigned>(settings.integer("storage.shards"));
  options.pool = &pool;
  options.compression = *storage::compression_named(settings.text("storage.compression"));
  options.engine = engine_options(settings);
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

antispam::SendingLimitOptions sending_limits(const Values& settings) {
  const auto number = [&](std::string_view key) { return static_cast<std::uint32_t>(settings.integer(key)); };
  return {.messages_hour = number("sending.messages_per_hour"),
          .messages_day = number("sending.messages_per_day"),
          .recipients_hour = number("sending.recipients_per_hour"),
          .recipients_day = number("sending.recipients_per_day")};
}

Result<void> check_settings(const Values& settings) {
  for (const auto& network : settings.list("smtp.relay_from")) {
    if (const auto parsed = net::parse_network(network); !parsed) return fail(Fault::refused, "smtp.relay_from: " + parsed.error().text);
  }
  return {};
}

smtp::queue::QueueOptions queue_options(const Values& settings) {
  smtp::queue::QueueOptions options;
  options.hostname = host_name(settings);
  options.lifetime = seconds(settings, "queue.lifetime");
  options.report_lifetime = options.lifetime;
  options.delay_notice = seconds(settings, "queue.delay_notice");
  options.connections = static_cast<std::uint32_t>(settings.integer("queue.connections"));
  return options;
}

smtp::queue::QueueStorageOptions queue_storage(const Values& settings, const fs::path& dir, net::WorkerPool& pool) {
  return {.path = Layout(dir).data(),
          .shards = static_cast<unsigned>(settings.integer("queue.shards")),
          .pool = &pool,
          .engine = engine_options(settings)};
}

smtp::queue::Rules queue_rules(const Values& settings) {
  using smtp::queue::Override;
  using smtp::queue::Rule;
  const auto small = [](const auto& table, std::string_view key) { return static_cast<std::uint32_t>(table.integer(key)); };
  Rule remote;
  remote.concurrency = small(settings, "queue.concurrency");
  remote.rate = small(settings, "queue.rate");
  remote.messages_per_connection = small(settings, "queue.messages_per_connection");
  remote.recipients_per_transaction = small(settings, "queue.recipients_per_transaction");
  remote.retry.first = seconds(settings, "queue.first_retry");
  remote.retry.longest = seconds(settings, "queue.longest_retry");
  remote.source_address = settings.text("queue.source_address");
  std::vector<Override> overrides;
  for (const auto& table : settings.tables("destination")) {
    Override one{.match = table.text("match")};
    const auto number = [&](std::string_view key) { return table.integer(key) != 0 ? std::optional(small(table, key)) : std::nullopt; };
    const auto pause = [&](std::string_view key) {
      const auto given = std::chrono::duration_cast<std::chrono::seconds>(table.duration(key));
      return given.count() != 0 ? std::optional(given) : std::nullopt;
    };
    one.concurrency = number("concurrency");
    one.rate = number("rate");
    one.messages_per_connection = number("messages_per_connection");
    one.recipients_per_transaction = number("recipients_per_transaction");
    one.first_retry = pause("first_retry");
    one.longest_retry = pause("longest_retry");
    if (!table.text("source_address").empty()) one.source_address = table.text("source_address");
    if (table.text("tls") != "auto") one.tls = table.text("tls");
    overrides.push_back(std::move(one));
  }
  return {remote, smtp::queue::Rules::local_rule(), std::move(overrides)};
}

smtp::OutboundOptions outbound_options(const Values& settings) {
  using smtp::AddressOrder;
  smtp::OutboundOptions options;
  options.our_names = {host_name(settings)};
  options.our_addresses = mx_addresses(settings);
  const auto& order = settings.text("outbound.addresses");
  options.addresses = order == "ipv4_first"  ? AddressOrder::ipv4_first
                      : order == "mixed"     ? AddressOrder::mixed
                      : order == "ipv6_only" ? AddressOrder::ipv6_only
                      : order == "ipv4_only" ? AddressOrder::ipv4_only
                                             : AddressOrder::ipv6_first;
  options.mx_port = static_cast<std::uint16_t>(settings.integer("outbound.mx_port"));
  options.local_mx = settings.boolean("outbound.local_mx");
  options.dane = settings.boolean("outbound.dane");
  options.mta_sts = settings.boolean("outbound.mta_sts");
  return options;
}

net::UnboundSettings resolver_settings(const Values& settings) {
  net::UnboundSettings options;
  options.forwarders = settings.list("dns.forwarders");
  options.resolv_conf = settings.text("dns.resolv_conf");
  std::error_code ignored;
  if (const auto& anchor = settings.text("dns.trust_anchor"); fs::exists(anchor, ignored)) options.trust_anchor_file = anchor;
  options.dnssec_required = settings.boolean("dns.dnssec_required");
  options.open_zones = settings.list("dns.open_zones");
  options.local_data = settings.list("dns.local_data");
  options.cache_octets = settings.size("dns.cache");
  return options;
}

smtp::TraceOptions trace_options(const Values& settings, const fs::path& dir) {
  smtp::TraceOptions options;
  options.directory = Layout(dir).trace();
  options.retention = std::chrono::ceil<std::chrono::days>(settings.duration("trace.retention"));
  options.max_buffered = settings.size("trace.buffer");
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
  options.relay_from = settings.list("smtp.relay_from");
  options.max_hold = seconds(settings, "smtp.max_hold");
  options.max_priority = static_cast<int>(settings.integer("smtp.max_priority"));
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
  options.relay.pump.idle = options.idle_limit;
  options.relay.pump.write = options.write_limit;
  return options;
}

migrate::MoveOptions move_options(const Values& settings) {
  constexpr int kQuieter = 60;
  constexpr int kLonger = 48;
  migrate::MoveOptions options;
  options.freeze_limit = settings.duration("migrate.freeze_limit");
  options.shortest_pause = seconds(settings, "migrate.pause");
  options.longest_pause = options.shortest_pause * kQuieter;
  options.first_retry = seconds(settings, "migrate.retry");
  options.longest_retry = options.first_retry * kLonger;
  return options;
}

pop::Options pop_options(const Values& settings) {
  pop::Options options;
  options.idle_limit = seconds(settings, "pop3.idle_limit");
  options.mark_seen = settings.boolean("pop3.mark_seen");
  options.relay.pump.idle = options.idle_limit;
  options.relay.pump.write = options.write_limit;
  return options;
}

}  // namespace relais::admin
