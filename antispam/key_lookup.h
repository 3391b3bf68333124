// Public keys from the DNS.
#pragma once

#include "net/resolver.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace relais::antispam {

/// What the DNS says of one key.
struct FoundKey {
  std::string record;      ///< the TXT record; empty where there is none that could be a key
  bool temporary = false;  ///< nothing is known: might be there later
  std::string reason;      ///< why `record` is empty
};

/// Keys by key_name().
class FoundKeys {
 public:
  void add(std::string name, FoundKey key) { keys_.emplace_back(std::move(name), std::move(key)); }
  /// nullptr where it was not asked for.
  const FoundKey* find(std::string_view name) const noexcept;

 private:
  std::vector<std::pair<std::string, FoundKey>> keys_;
};

/// "selector._domainkey.domain" in lower case.
std::string key_name(std::string_view selector, std::string_view domain);

/// Asks for each name once, one after the other. Of several TXT records the first that could be a key counts (RFC 6376 §3.6.2.2 leaves it
/// open).
net::asio::awaitable<FoundKeys> find_keys(net::Resolver& resolver, std::vector<std::string> names);

}  // namespace relais::antispam
