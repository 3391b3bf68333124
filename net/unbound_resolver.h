// The resolver of the platform: libunbound, validating and caching in this process.
#pragma once

#include "net/resolver.h"

#include <memory>
#include <string>
#include <vector>

namespace relais::net {

struct UnboundSettings {
  /// Servers to ask, "192.0.2.53", "2001:db8::53" or ADDRESS@PORT. None: the DNS is walked from the root.
  std::vector<std::string> forwarders;
  /// Where there are no forwarders: a file of the kind of /etc/resolv.conf that names them. Empty: none.
  std::string resolv_conf;
  /// The root's DNSSEC keys, as DS or DNSKEY records ("/usr/share/dns/root.key" of Debian's dns-root-data). Empty: nothing is ever secure.
  std::string trust_anchor_file;
  /// False: where the servers that are asked do not pass DNSSEC on (the first question of all is for the root's own keys), go on without, and
  /// say so once; nothing is secure then. True: every name fails there.
  bool dnssec_required = true;
  /// Zones that libunbound answers by itself because they are reserved (RFC 6761, RFC 6303), to be asked for all the same: "test."
  std::vector<std::string> open_zones;
  /// Names that are answered from here, "mail.example.net. A 192.0.2.1".
  std::vector<std::string> local_data;
  std::size_t cache_octets = 16 * 1024 * 1024;  ///< about that much memory for answers
  std::size_t max_pending = 10'000;             ///< questions at a time; more fail at once
  std::chrono::milliseconds limit{30'000};      ///< for one question with all that it takes
};

/// Threads: any. Two threads of its own: libunbound's, which talks to servers, and one that hands questions and answers over; no loop ever
/// waits. Lifetime: the callers' io_contexts outlive it; at its end what is pending fails.
class UnboundResolver final : public Resolver {
 public:
  /// Errors: Fault::refused with a text that names the setting that cannot be used.
  static Result<std::unique_ptr<UnboundResolver>> open(const UnboundSettings& settings);
  ~UnboundResolver() override;
  asio::awaitable<DnsAnswer> query(std::string name, DnsType type) override;

 private:
  struct Impl;
  explicit UnboundResolver(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace relais::net
