// One request on a connection of its own: look up, connect, verify, ask, read.
#include "net/https.h"

#include "base/ascii.h"
#include "net/address.h"
#include "net/connection.h"
#include "net/dns_records.h"
#include "net/loop.h"

#include <algorithm>
#include <array>

namespace relais::net {
namespace {

constexpr std::string_view kScheme = "https://";
constexpr std::size_t kMaxUrl = 2048;         // octets
constexpr std::size_t kMaxAddresses = 4;      // tried
constexpr std::chrono::seconds kConnect{15};  // for one address, so that a dead one leaves time for the next

std::unexpected<Error> bad_url(std::string_view why) { return fail(Fault::syntax, std::string("not an https URL: ").append(why)); }

bool is_visible(char c) noexcept { return c > 0x20 && c < 0x7f; }

// What stands in Host: brackets around IPv6, the port where it is not the usual one. RFC 9110 §7.2
std::string host_field(const HttpsUrl& url) {
  auto out = url.host.contains(':') ? "[" + url.host + "]" : url.host;
  if (url.port != 443) out += ":" + std::to_string(url.port);
  return out;
}

Task<std::vector<std::string>> addresses_of(Resolver& resolver, const std::string& host) {
  std::vector<std::string> out;
  if (parse_address(host, 0)) {
    out.push_back(host);
    co_return out;
  }
  std::string trouble;
  for (const auto type : {DnsType::a, DnsType::aaaa}) {
    const auto answer = co_await resolver.query(host, type);
    if (answer.unknown()) trouble = answer.detail;
    for (const auto& rdata : answer.records)
      if (auto address = type == DnsType::a ? parse_a(rdata) : parse_aaaa(rdata)) out.push_back(std::move(*address));
  }
  if (out.empty()) co_return fail(Fault::temporary, "the web server has no address", "", host + " " + trouble);
  if (out.size() > kMaxAddresses) out.resize(kMaxAddresses);
  co_return out;
}

Task<std::unique_ptr<Connection>> connect_to_any(Loop& loop, std::vector<std::string> addresses, std::uint16_t port, Deadline deadline) {
  Error last{Fault::temporary, "", "cannot connect", ""};
  for (const auto& address : addresses) {
    auto connection = co_await connect(loop, address, port, std::min(deadline, in(kConnect)));
    if (connection) co_return std::move(*connection);
    last = std::move(connection).error();
  }
  co_return fail(std::move(last));
}

Error as_https(Error error) {
  if (error.fault == Fault::refused)
    return {Fault::refused, "tls", "the web server's certificate cannot be trusted", std::move(error.detail)};
  if (error.fault == Fault::closed) return {Fault::temporary, "", "the web server does not answer", error.text + error.detail};
  return error;
}

Task<HttpResponse> exchange(Connection& connection, std::string head, std::string body, std::size_t max_body, Deadline deadline) {
  const std::array<std::string_view, 2> pieces{head, body};
  RELAIS_CO_TRY_VOID(co_await connection.write(pieces, deadline));
  HttpResponseParser parser(max_body);
  for (;;) {
    if (auto filled = co_await connection.fill(deadline, Awaiting::data); !filled) {
      if (!filled.error().code.empty()) co_return fail(std::move(filled).error());
      RELAIS_CO_TRY_VOID(parser.end());
      break;
    }
    RELAIS_CO_TRY(const bool whole, parser.feed(connection.buffered()));
    connection.consume(connection.buffered().size());
    if (whole) break;
  }
  co_return std::move(parser.response());
}

}  // namespace

Result<HttpsUrl> parse_https_url(std::string_view url) {
  if (url.size() > kMaxUrl || !istarts_with(url, kScheme)) return bad_url("it does not begin with https://");
  auto rest = url.substr(kScheme.size());
  if (!std::ranges::all_of(rest, is_visible) || rest.contains('#')) return bad_url("odd characters");
  const auto slash = std::min(rest.find_first_of("/?"), rest.size());
  auto authority = rest.substr(0, slash);
  HttpsUrl out;
  out.target = rest.substr(slash);
  if (!out.target.starts_with('/')) out.target.insert(0, "/");
  const bool literal = authority.starts_with('[');
  const auto end = literal ? authority.find(']') : std::min(authority.find(':'), authority.size());
  if (end == std::string_view::npos) return bad_url("no host");
  out.host = to_lower(literal ? authority.substr(1, end - 1) : authority.substr(0, end));
  authority.remove_prefix(literal ? end + 1 : end);
  if (literal ? !out.host.contains(':') || !parse_address(out.host, 0) : !is_host_name(out.host)) return bad_url("no host");
  if (authority.empty()) return out;
  const auto port = authority.starts_with(':') ? parse_u64(authority.substr(1)) : std::nullopt;
  if (!port || *port == 0 || *port > 65535) return bad_url("no port");
  out.port = static_cast<std::uint16_t>(*port);
  return out;
}

Task<HttpResponse> HttpsClient::get(std::string url, HttpsLimits limits) const { return request("GET", std::move(url), {}, {}, limits); }

Task<HttpResponse> HttpsClient::post(std::string url, std::string content_type, std::string body, HttpsLimits limits) const {
  return request("POST", std::move(url), std::move(content_type), std::move(body), limits);
}

Task<HttpResponse> HttpsClient::request(std::string method, std::string url, std::string content_type, std::string body,
                                        HttpsLimits limits) const {
  const auto deadline = in(limits.time);
  Loop* const loop = Loop::current();
  RELAIS_CO_TRY(const auto to, parse_https_url(url));
  RELAIS_CO_TRY(auto addresses, co_await addresses_of(resolver_, to.host));
  RELAIS_CO_TRY(auto connection, co_await connect_to_any(*loop, std::move(addresses), to.port, deadline));
  if (auto secured = co_await connection->start_tls_client(*tls_, to.host, deadline); !secured)
    co_return fail(as_https(std::move(secured).error()));
  std::string head =
      method + " " + to.target + " HTTP/1.1\r\nHost: " + host_field(to) + "\r\nUser-Agent: Relais\r\nAccept: */*\r\nConnection: close\r\n";
  if (method == "POST") head += "Content-Type: " + content_type + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
  head += "\r\n";
  auto response = co_await exchange(*connection, std::move(head), std::move(body), limits.body, deadline);
  if (!response) {
    if (response.error().fault == Fault::refused && response.error().code == "size") co_return response;
    co_return fail(as_https(std::move(response).error()));
  }
  co_return response;
}

}  // namespace relais::net
