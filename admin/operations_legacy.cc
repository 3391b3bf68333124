// relais legacy add|test|list|rm
#include "admin/operations.h"

#include "admin/legacy_probe.h"
#include "base/check.h"
#include "directory/digest.h"
#include "smtp/outbound/legacy.h"

#include <array>
#include <optional>

namespace relais::admin {
namespace {

using directory::ForwardAddress;
using directory::LegacyMaster;
using directory::LegacyPlatform;
using directory::LegacyService;

json describe(const LegacyService& service) {
  if (!service.configured()) return nullptr;
  return {{"address", directory::address_text(service)}, {"tls", to_string(service.tls)}, {"verify", service.verify}};
}

// Never the master's password.
json describe(const LegacyPlatform& platform) {
  json row{{"name", platform.name},
           {"imap", describe(platform.imap)},
           {"pop3", describe(platform.pop3)},
           {"submission", describe(platform.submission)},
           {platform.delivery_lmtp ? "lmtp" : "smtp", describe(platform.delivery)},
           {"ca_file", platform.ca_file},
           {"user_format", platform.user_format},
           {"forward", to_string(platform.forward)},
           {"learn_passwords", platform.learn_passwords},
           {"created", platform.created},
           {"master", nullptr}};
  if (platform.master.way != LegacyMaster::Way::none) {
    row["master"] = {{"user", platform.master.user}, {"way", to_string(platform.master.way)}};
    if (!platform.master.format.empty()) row["master"]["format"] = platform.master.format;
  }
  return row;
}

Result<LegacyService> service_argument(const json& request, std::string_view key) {
  const auto text = text_argument_or(request, key, "");
  if (text.empty()) return LegacyService{};
  auto service = directory::parse_legacy_service(text, text_argument_or(request, "tls", ""));
  if (!service) return fail(Fault::syntax, "--" + std::string(key) + ": " + service.error().text);
  service->verify = service->tls != LegacyService::Tls::none && request.value("verify", true);
  return service;
}

template <class Value>
Result<Value> name_argument(const json& request, std::string_view key, Value last, Value otherwise) {
  const auto text = text_argument_or(request, key, to_string(otherwise));
  for (std::size_t i = 0; i <= static_cast<std::size_t>(last); ++i) {
    if (text == to_string(static_cast<Value>(i))) return static_cast<Value>(i);
  }
  return fail(Fault::syntax, "no such " + std::string(key) + ": " + text);
}

Result<LegacyMaster> master_argument(const json& request) {
  LegacyMaster master;
  master.user = text_argument_or(request, "master", "");
  master.password = text_argument_or(request, "master_password", "");
  const auto format = text_argument_or(request, "master_format", "");
  if (master.user.empty()) {
    if (!master.password.empty() || !format.empty() || request.contains("master_way"))
      return fail(Fault::syntax, "--master names the master user");
    return master;
  }
  if (master.password.empty()) return fail(Fault::syntax, "the master's password is missing: --master-password-stdin");
  RELAIS_TRY(master.way, name_argument(request, "master_way", LegacyMaster::Way::cyrus, LegacyMaster::Way::format));
  master.format = format;
  if (master.way == LegacyMaster::Way::format && format.empty()) master.format = "%u*%m";
  return master;
}

Result<LegacyPlatform> platform_argument(const json& request) {
  LegacyPlatform platform;
  RELAIS_TRY(platform.name, text_argument(request, "name"));
  RELAIS_TRY(platform.imap, service_argument(request, "imap"));
  RELAIS_TRY(platform.pop3, service_argument(request, "pop3"));
  RELAIS_TRY(platform.submission, service_argument(request, "submission"));
  RELAIS_TRY(platform.delivery, service_argument(request, "smtp"));
  RELAIS_TRY(const auto lmtp, service_argument(request, "lmtp"));
  if (lmtp.configured()) {
    if (platform.delivery.configured()) return fail(Fault::syntax, "mail goes there by --smtp or by --lmtp, not by both");
    platform.delivery = lmtp;
    platform.delivery_lmtp = true;
  }
  platform.ca_file = text_argument_or(request, "ca_file", "");
  platform.user_format = text_argument_or(request, "user_format", "%u");
  RELAIS_TRY(platform.forward, name_argument(request, "forward", ForwardAddress::proxy, ForwardAddress::none));
  platform.learn_passwords = request.value("learn_passwords", false);
  RELAIS_TRY(platform.master, master_argument(request));
  RELAIS_TRY_VOID(check_platform(platform));
  return platform;
}

net::Task<json> add(Backend& backend, const json& request) {
  RELAIS_CO_TRY(auto platform, platform_argument(request));
  const directory::Wiper wiper(platform.master.password);
  RELAIS_CO_TRY_VOID(smtp::hop_of(platform));  // its authorities can be read
  RELAIS_CO_TRY(const auto before, co_await backend.moves.platform(platform.name));
  RELAIS_CO_TRY_VOID(co_await backend.moves.set_platform(platform));
  RELAIS_CO_TRY_VOID(co_await backend.mail.platform_changed(platform.name));
  auto row = describe(platform);
  row.erase("created");
  row["replaced"] = before.has_value();
  co_return row;
}

// The account that is named, else the first one that lives there.
net::Task<directory::Located> account_on(Backend& backend, const std::string& platform, std::string address) {
  if (address.empty()) {
    RELAIS_CO_TRY(const auto accounts, co_await backend.directory.accounts(""));
    for (const auto& account : accounts) {
      if (account.placement.legacy == platform) address = account.address;
      if (!address.empty()) break;
    }
    if (address.empty())
      co_return fail(Fault::refused, "no account is known to live there: relais account add ADDRESS --legacy " + platform);
  }
  RELAIS_CO_TRY(const auto account, co_await backend.directory.find(address));
  if (!account) co_return fail(Fault::refused, "no account '" + address + "'; relais account list shows those there are");
  RELAIS_CO_TRY(auto located, co_await backend.moves.located(account->number));
  if (!located || located->platform() != platform) co_return fail(Fault::refused, account->address + " is no account of " + platform);
  co_return *std::move(located);
}

net::Task<json> test(Backend& backend, const json& request) {
  RELAIS_CO_TRY(const auto name, text_argument(request, "name"));
  RELAIS_CO_TRY(const auto platform, co_await backend.moves.platform(name));
  if (!platform)
    co_return fail(Fault::refused, "no legacy platform '" + name + "'; relais legacy list shows those there are", "NONEXISTENT");
  RELAIS_CO_TRY(const auto account, co_await account_on(backend, name, text_argument_or(request, "address", "")));
  RELAIS_CO_TRY(auto* resolver, backend.mail.resolver());
  auto* loop = net::Loop::current();
  RELAIS_CHECK(loop != nullptr);
  const auto probes = co_await probe_platform(*platform, account, host_name(backend.mail.settings()), *resolver, *loop);
  bool good = true;
  auto services = json::array();
  for (const auto& probe : probes) {
    good = good && probe.problems.empty();
    services.push_back({{"service", probe.service},
                        {"address", probe.address},
                        {"tls", probe.tls},
                        {"capabilities", probe.capabilities},
                        {"facts", probe.facts},
                        {"notes", probe.notes},
                        {"problems", probe.problems}});
  }
  auto problems = json::array();
  if (!platform->imap.configured()) problems.push_back("it has no IMAP: mailboxes other than INBOX cannot be read");
  if (!platform->delivery.configured())
    problems.push_back("it takes no mail (--lmtp or --smtp): what comes for its accounts waits in the queue");
  good = good && problems.empty();
  co_return json{{"name", name},
                 {"account", account.account.address},
                 {"user", legacy_user(*platform, account.origin, account.account.address)},
                 {"services", std::move(services)},
                 {"problems", std::move(problems)},
                 {"good", good}};
}

net::Task<json> list(Backend& backend, const json&) {
  RELAIS_CO_TRY(const auto platforms, co_await backend.moves.platforms());
  auto rows = json::array();
  for (const auto& platform : platforms) rows.push_back(describe(platform));
  co_return json{{"platforms", std::move(rows)}};
}

net::Task<json> remove(Backend& backend, const json& request) {
  RELAIS_CO_TRY(const auto name, text_argument(request, "name"));
  RELAIS_CO_TRY_VOID(co_await backend.moves.remove_platform(name));
  RELAIS_CO_TRY_VOID(co_await backend.mail.platform_changed(name));
  co_return json{{"name", name}, {"removed", true}};
}

constexpr std::array<Operation, 4> kOperations{{{"legacy add", add}, {"legacy test", test}, {"legacy list", list}, {"legacy rm", remove}}};

}  // namespace

std::span<const Operation> legacy_operations() { return kOperations; }

}  // namespace relais::admin
