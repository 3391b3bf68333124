// A DNS of its own for tests: zone files as text, and faults on demand.
#pragma once

#include "net/resolver.h"

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace relais::net {

/// Answers from a table. Follows aliases (a loop fails, as a resolver's limit makes it), tells a name that is there without records of a
/// type from one that is not. Threads: any.
class FakeResolver final : public Resolver {
 public:
  static constexpr std::chrono::seconds kTtl{300};

  /// One record a line, "NAME TYPE DATA"; empty lines and what follows ';' are skipped. Names may end in a dot.
  ///   example.net  MX    10 mx.example.net
  ///   mx           A     192.0.2.1
  ///   x.example    TXT   "v=STSv1; id=1;"          (quotes optional)
  ///   _25._tcp.mx.example.net TLSA 3 1 1 00ff…
  ///   alias.example CNAME target.example
  /// A line that is none ends the test program.
  FakeResolver& zone(std::string_view text);
  /// Names at or below this one are answered as proven by DNSSEC; an answer by way of aliases only where all of them are.
  FakeResolver& secure(std::string_view zone);
  /// Answers for this name and type are `status` from now on, whatever records there are; bogus and failed ones carry the detail.
  FakeResolver& fault(std::string_view name, DnsType type, DnsAnswer::Status status, std::string_view detail = "scripted");
  /// Takes back a fault.
  FakeResolver& repair(std::string_view name, DnsType type);
  /// Removes all records of that name and type.
  FakeResolver& remove(std::string_view name, DnsType type);
  /// A TTL for that name and type.
  FakeResolver& ttl(std::string_view name, DnsType type, std::chrono::seconds ttl);
  /// Adds RDATA octets as they are: for broken records.
  FakeResolver& raw(std::string_view name, DnsType type, std::string rdata);

  asio::awaitable<DnsAnswer> query(std::string name, DnsType type) override;
  /// The same without a coroutine.
  DnsAnswer answer(std::string_view name, DnsType type);
  /// Questions so far, "example.net MX", in the order they came; forgets them.
  std::vector<std::string> take_questions();

 private:
  using Key = std::pair<std::string, DnsType>;
  DnsAnswer look_up(const std::string& name, DnsType type) const;
  bool is_secure(std::string_view name) const;
  bool exists(const std::string& name) const;

  mutable std::mutex mutex_;  // guards all below
  std::map<Key, std::vector<std::string>> records_;
  std::map<Key, DnsAnswer> faults_;
  std::map<Key, std::chrono::seconds> ttls_;
  std::set<std::string, std::less<>> secure_;
  std::vector<std::string> questions_;
};

}  // namespace relais::net
