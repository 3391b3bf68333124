// Asks the resolver for key records.
#include "antispam/key_lookup.h"

#include "antispam/dkim_crypto.h"
#include "base/ascii.h"
#include "net/dns_records.h"

#include <algorithm>

namespace relais::antispam {
namespace {

FoundKey read_answer(const net::DnsAnswer& answer) {
  FoundKey key;
  for (const auto& record : answer.records) {
    auto text = net::parse_txt(record);
    if (!text || !is_key_record(*text)) continue;
    key.record = *std::move(text);
    return key;
  }
  key.temporary = answer.unknown();
  key.reason = key.temporary ? "the key could not be asked for" : "there is no key at the selector";
  return key;
}

}  // namespace

const FoundKey* FoundKeys::find(std::string_view name) const noexcept {
  const auto found = std::ranges::find(keys_, name, &std::pair<std::string, FoundKey>::first);
  return found == keys_.end() ? nullptr : &found->second;
}

std::string key_name(std::string_view selector, std::string_view domain) { return to_lower(selector) + "._domainkey." + to_lower(domain); }

net::asio::awaitable<FoundKeys> find_keys(net::Resolver& resolver, std::vector<std::string> names) {
  FoundKeys found;
  for (auto& name : names) {
    if (found.find(name) != nullptr) continue;
    const auto answer = co_await resolver.query(name, net::DnsType::txt);
    found.add(std::move(name), read_answer(answer));
  }
  co_return found;
}

}  // namespace relais::antispam
