// Legacy platforms: text to values and back, and what may be stored.
#include "directory/legacy.h"

#include "base/ascii.h"
#include "directory/host_port.h"
#include "directory/password.h"

#include <algorithm>
#include <array>
#include <optional>

namespace relais::directory {
namespace {

constexpr std::size_t kMaxName = 64;
constexpr std::array<std::string_view, 3> kTlsNames{"none", "starttls", "implicit"};        // by LegacyService::Tls
constexpr std::array<std::string_view, 4> kWayNames{"none", "format", "authzid", "cyrus"};  // by LegacyMaster::Way
constexpr std::array<std::string_view, 3> kForwardNames{"none", "id", "proxy"};             // by ForwardAddress
constexpr std::array<std::uint16_t, 3> kImplicitPorts{465, 993, 995};                       // RFC 8314 §7.3, §3.2, §3.3

std::unexpected<Error> malformed(std::string text) { return fail(Fault::syntax, std::move(text)); }

bool has_control(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

std::optional<LegacyService::Tls> parse_tls(std::string_view text) {
  for (std::size_t i = 0; i < kTlsNames.size(); ++i) {
    if (iequals(text, kTlsNames[i])) return static_cast<LegacyService::Tls>(i);
  }
  return std::nullopt;
}

Result<void> check_name(std::string_view name) {
  const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || ascii_digit(c) || c == '-' || c == '_' || c == '.'; };
  if (name.empty() || name.size() > kMaxName || !std::ranges::all_of(name, allowed))
    return malformed("a platform's name is 1 to 64 of a-z 0-9 - _ . and not '" + std::string(name.substr(0, kMaxName)) + "'");
  return {};
}

Result<void> check_service(std::string_view what, const LegacyService& service) {
  if (!service.configured()) return {};
  const auto parsed = parse_legacy_service(address_text(service), to_string(service.tls));
  if (!parsed) return malformed(std::string(what) + ": " + parsed.error().text);
  if (parsed->host != service.host) return malformed(std::string(what) + ": not a host as it is kept: " + service.host);
  return {};
}

Result<void> check_master(const LegacyMaster& master) {
  using Way = LegacyMaster::Way;
  if (master.way == Way::none) {
    if (!master.user.empty() || !master.password.empty() || !master.format.empty()) return malformed("a master user needs a way to log in");
    return {};
  }
  if (master.user.empty() || has_control(master.user)) return malformed("the master user's name is empty or has a control character");
  if (const auto fits = check_password(master.password); !fits) return malformed("master password: " + fits.error().text);
  if (master.password.find_first_of("\r\n") != std::string::npos) return malformed("a master password can't hold a line end");
  if (master.way == Way::format && (!master.format.contains("%u") || has_control(master.format)))
    return malformed("a master format names the user as %u, such as %u*%m");
  if (master.way != Way::format && !master.format.empty()) return malformed("a master format and another way to log in exclude each other");
  return {};
}

}  // namespace

std::string_view to_string(LegacyService::Tls tls) noexcept { return kTlsNames[static_cast<std::size_t>(tls)]; }
std::string_view to_string(LegacyMaster::Way way) noexcept { return kWayNames[static_cast<std::size_t>(way)]; }
std::string_view to_string(ForwardAddress forward) noexcept { return kForwardNames[static_cast<std::size_t>(forward)]; }

Result<void> check_platform(const LegacyPlatform& platform) {
  RELAIS_TRY_VOID(check_name(platform.name));
  RELAIS_TRY_VOID(check_service("imap", platform.imap));
  RELAIS_TRY_VOID(check_service("pop3", platform.pop3));
  RELAIS_TRY_VOID(check_service("submission", platform.submission));
  RELAIS_TRY_VOID(check_service(platform.delivery_lmtp ? "lmtp" : "smtp", platform.delivery));
  if (!platform.imap.configured() && !platform.pop3.configured())
    return malformed("a platform needs IMAP or POP3: accounts are read by it");
  if (!platform.user_format.contains("%u") && !platform.user_format.contains("%n"))
    return malformed("a user format names the account as %u (its address) or %n (the local part)");
  if (has_control(platform.user_format)) return malformed("a user format can't hold control characters");
  if (!platform.ca_file.empty() && !platform.ca_file.starts_with('/')) return malformed("the authorities' file needs an absolute path");
  return check_master(platform.master);
}

Result<LegacyService> parse_legacy_service(std::string_view text, std::string_view tls) {
  LegacyService service;
  if (const auto comma = text.find(','); comma != std::string_view::npos) {
    tls = text.substr(comma + 1);
    text = text.substr(0, comma);
  }
  RELAIS_TRY(auto where, parse_host_port(text));
  if (where.port == 0) return malformed("a port is missing: " + std::string(text));
  service.host = std::move(where.host);
  service.port = where.port;
  if (tls.empty()) {
    service.tls = std::ranges::find(kImplicitPorts, service.port) != kImplicitPorts.end() ? LegacyService::Tls::implicit
                                                                                          : LegacyService::Tls::starttls;
    return service;
  }
  const auto mode = parse_tls(tls);
  if (!mode) return malformed("TLS is none, starttls or implicit, not " + std::string(tls));
  service.tls = *mode;
  return service;
}

std::string address_text(const LegacyService& service) {
  if (!service.configured()) return {};
  return host_port_text(service.host, service.port);
}

std::string expand_user(std::string_view format, std::string_view address, std::string_view master) {
  const auto at = address.rfind('@');
  std::string out;
  for (std::size_t i = 0; i < format.size(); ++i) {
    const char next = format[i] == '%' && i + 1 < format.size() ? format[i + 1] : '\0';
    switch (next) {
      case 'u': out.append(address); break;
      case 'n': out.append(address.substr(0, at)); break;
      case 'd': out.append(at == std::string_view::npos ? std::string_view{} : address.substr(at + 1)); break;
      case 'm': out.append(master); break;
      case '%': out.push_back('%'); break;
      default: out.push_back(format[i]); continue;
    }
    ++i;
  }
  return out;
}

std::string legacy_user(const LegacyPlatform& platform, const Origin& origin, std::string_view address) {
  return origin.user.empty() ? expand_user(platform.user_format, address) : origin.user;
}

}  // namespace relais::directory
