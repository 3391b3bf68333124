// Hosts with ports, IPv6 in brackets.
#include "directory/host_port.h"

#include "base/ascii.h"
#include "message/address.h"
#include "net/address.h"

namespace relais::directory {
namespace {

std::unexpected<Error> malformed(std::string text) { return fail(Fault::syntax, std::move(text)); }

bool is_ipv4(std::string_view host) { return !host.contains(':') && net::parse_address(host, 0).has_value(); }

}  // namespace

Result<HostPort> parse_host_port(std::string_view text) {
  HostPort out;
  std::string_view port;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string_view::npos) return malformed("an IPv6 address ends with \"]\"");
    out.host = to_lower(text.substr(1, end - 1));
    if (!out.host.contains(':') || !net::parse_address(out.host, 0)) return malformed("not an IPv6 address: " + out.host);
    port = text.substr(end + 1);
  } else {
    const auto colon = text.find(':');
    const auto host = text.substr(0, colon);
    if (is_ipv4(host)) {
      out.host = host;
    } else {
      auto name = message::to_ascii_domain(host);
      if (!name) return malformed("not a host: " + std::string(host));
      out.host = *std::move(name);
    }
    port = colon == std::string_view::npos ? std::string_view{} : text.substr(colon);
  }
  if (port.empty()) return out;
  const auto number = port.starts_with(':') ? parse_u64(port.substr(1)) : std::nullopt;
  if (!number || *number == 0 || *number > 65'535) return malformed("not a port: " + std::string(port));
  out.port = static_cast<std::uint16_t>(*number);
  return out;
}

std::string host_port_text(std::string_view host, std::uint16_t port) {
  const bool bracket = host.contains(':');
  std::string out;
  if (bracket) out += '[';
  out += host;
  if (bracket) out += ']';
  return out + ':' + std::to_string(port);
}

}  // namespace relais::directory
