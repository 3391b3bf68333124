// Makes a platform's directory.
#include "admin/init.h"

#include "admin/certificate.h"
#include "admin/command.h"
#include "admin/layout.h"
#include "message/address.h"
#include "net/address.h"

#include <fmt/format.h>

#include <unistd.h>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

namespace relais::admin {
namespace {

namespace fs = std::filesystem;

std::string machine_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 && name[0] != '\0' ? std::string(name) : "localhost";
}

constexpr unsigned kFewestShards = 2;
constexpr unsigned kMostShards = 16;

struct Port {
  const char* key;
  unsigned usual;
};
constexpr Port kPorts[] = {{"smtp", 25},  {"submissions", 465}, {"submission", 587}, {"lmtp", 24},
                           {"pop3", 110}, {"pop3s", 995},       {"imap", 143},       {"imaps", 993}};

std::string config_text(const InitOptions& options, const std::string& listen, const std::string& host) {
  std::string text = fmt::format(
      "# Relais. `relais config defaults` prints every key with its meaning; SIGHUP reloads.\n\n"
      "[platform]\nhostname = \"{}\"\n\n[listen]\naddress = \"{}\"\n",
      host, listen);
  for (const auto port : kPorts) text += fmt::format("{} = {}\n", port.key, options.base_port + port.usual);
  // Metrics and health are for the machine's own network: without a base port on loopback alone.
  text += fmt::format("http_address = \"{}\"\nhttp = {}\n", options.base_port ? listen : "127.0.0.1",
                      options.base_port ? options.base_port + 80 : 8080);
  // LMTP has no authentication: whoever reaches the port may deliver.
  text += fmt::format("lmtp_address = \"{}\"\n", options.base_port ? listen : "127.0.0.1");
  const auto shards = options.shards != 0 ? options.shards : std::clamp(std::thread::hardware_concurrency(), kFewestShards, kMostShards);
  text += fmt::format("\n[tls]\ncertificate = \"tls/certificate.pem\"\nkey = \"tls/key.pem\"\n\n[storage]\nshards = {}\n", shards);
  if (!options.domain.empty()) text += fmt::format("\n[auth]\ndefault_domain = \"{}\"\n", options.domain);
  return text;
}

Result<void> write_file(const fs::path& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.close();
  if (!file) return fail(Fault::temporary, "cannot write " + path.string());
  return {};
}

}  // namespace

Result<nlohmann::json> make_platform(const InitOptions& options) {
  const Layout layout(fs::absolute(options.dir));
  std::error_code ec;
  if (fs::exists(layout.root, ec) && !(fs::is_directory(layout.root, ec) && fs::is_empty(layout.root, ec))) {
    return fail(Fault::refused, layout.root.string() + " exists and is not an empty directory");
  }
  std::string domain;
  if (!options.domain.empty()) {
    RELAIS_TRY(domain, message::to_ascii_domain(options.domain));
  }
  const std::string host = domain.empty() ? machine_name() : "mail." + domain;
  const std::string listen = !options.listen.empty() ? options.listen : options.base_port ? "127.0.0.1" : "0.0.0.0";
  if (const auto address = net::parse_address(listen, 0); !address) {
    return fail(Fault::syntax, "--listen takes a numeric address such as 192.0.2.1, 0.0.0.0 or ::, not '" + listen + "'");
  }

  for (const auto& folder : {layout.certificate().parent_path(), layout.spool(), layout.run()}) {
    fs::create_directories(folder, ec);
    if (ec) return fail(Fault::temporary, "cannot make " + folder.string() + ": " + ec.message());
  }
  // Mail and keys are the platform's user's alone.
  fs::permissions(layout.root, fs::perms::owner_all, ec);
  std::vector<std::string> names{host, "localhost", "127.0.0.1"};
  if (!domain.empty()) names.insert(names.begin() + 1, domain);
  RELAIS_TRY_VOID(make_self_signed_certificate(layout.certificate(), layout.key(), names));
  RELAIS_TRY_VOID(write_file(
      layout.config(), config_text(InitOptions{options.dir, domain, options.listen, options.base_port, options.shards}, listen, host)));
  if (!domain.empty()) {
    RELAIS_TRY(const auto added, carry_out(Command{.operation = "domain add", .request = {{"domain", domain}}, .dir = layout.root}));
  }
  const auto dir = layout.root.string();
  return nlohmann::json{
      {"dir", dir},
      {"config", layout.config().string()},
      {"hostname", host},
      {"text", fmt::format("A platform is ready in {0}.\n  relais account add USER@{1} --password-stdin --dir {0}\n  relais serve {0}\n",
                           dir, domain.empty() ? "DOMAIN" : domain)}};
}

}  // namespace relais::admin
