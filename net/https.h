// One GET or POST over verified TLS, for policies and reports. No cookies, no caches, no redirects.
#pragma once

#include "net/http_response.h"
#include "net/resolver.h"
#include "net/task.h"
#include "net/tls.h"

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

namespace relais::net {

class Loop;

struct HttpsLimits {
  std::size_t body = 64 * 1024;            ///< octets of the answer; RFC 8461 §3.3 suggests this for policies
  std::chrono::milliseconds time{60'000};  ///< for all of it, look-ups included; RFC 8461 §3.3 suggests it
};

/// "https://host[:port]/path?query" taken apart. Fault::syntax for anything else: user information, fragments, other schemes, odd octets.
struct HttpsUrl {
  std::string host;  ///< lower case; IPv6 without brackets
  std::uint16_t port = 443;
  std::string target;  ///< "/path?query"
};
Result<HttpsUrl> parse_https_url(std::string_view url);

/// Asks web servers. Holds no state between requests. Threads: any loop's.
///
/// Errors of both: Fault::syntax (the URL, or no HTTP came), Fault::refused code "tls" (the certificate or handshake; detail says why),
/// code "size", Fault::temporary (no address, no connection, too slow). A status other than 2xx is an answer, not an error: a 3xx is given
/// back, never followed (RFC 8461 §3.3).
class HttpsClient {
 public:
  /// @param tls a verifying client context   Lifetime: the resolver outlives it.
  HttpsClient(Resolver& resolver, std::shared_ptr<const TlsContext> tls) : resolver_(resolver), tls_(std::move(tls)) {}
  /// The certificate is checked against the host's name.
  Task<HttpResponse> get(std::string url, HttpsLimits limits = {}) const;
  Task<HttpResponse> post(std::string url, std::string content_type, std::string body, HttpsLimits limits = {}) const;

 private:
  Task<HttpResponse> request(std::string method, std::string url, std::string content_type, std::string body, HttpsLimits limits) const;

  Resolver& resolver_;
  std::shared_ptr<const TlsContext> tls_;
};

}  // namespace relais::net
