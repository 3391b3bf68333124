// Routes, DKIM keys and SRS secrets in the tables.
#include "directory/outbound.h"

#include "base/random.h"
#include "directory/records.h"

namespace relais::directory {
namespace {

constexpr std::size_t kSecretSize = 32;  // octets: HMAC-SHA256 gains nothing from more

std::unexpected<Error> missing(std::string text) { return fail(Fault::refused, std::move(text), "NONEXISTENT"); }

/// domain NUL selector: one range holds a domain's keys.
std::string key_of(std::string_view domain, std::string_view selector) { return std::string(domain).append(1, '\0').append(selector); }

Result<std::optional<Route>> route_at(const Txn& txn, std::string_view pattern) {
  RELAIS_TRY(const auto value, txn.get(Table::routes, pattern));
  if (!value) return std::optional<Route>{};
  RELAIS_TRY(auto route, decode_route(pattern, *value));
  return std::optional(std::move(route));
}

Result<DkimKey> existing_key(const Txn& txn, std::string_view domain, std::string_view selector) {
  const auto key = key_of(domain, selector);
  RELAIS_TRY(const auto value, txn.get(Table::dkim_keys, key));
  if (!value) return missing("no such DKIM key: " + std::string(selector) + " of " + std::string(domain));
  return decode_dkim_key(key, *value);
}

}  // namespace

Result<void> set_route(Txn& txn, const Route& route) { return txn.put(Table::routes, route.domain, encode_route(route)); }

Result<void> remove_route(Txn& txn, std::string_view domain) {
  RELAIS_TRY(const auto there, txn.get(Table::routes, domain));
  if (!there) return missing("no such route: " + std::string(domain));
  return txn.erase(Table::routes, domain);
}

Result<std::vector<Route>> routes(const Txn& txn) {
  std::vector<Route> all;
  Result<void> outcome;
  RELAIS_TRY_VOID(txn.range(Table::routes, "", [&](std::string_view key, std::string_view value) {
    auto route = decode_route(key, value);
    if (route)
      all.push_back(*std::move(route));
    else
      outcome = fail(std::move(route).error());
    return outcome.has_value();
  }));
  if (!outcome) return fail(std::move(outcome).error());
  return all;
}

Result<std::optional<Route>> find_route(const Txn& txn, std::string_view domain) {
  RELAIS_TRY(auto exact, route_at(txn, domain));
  if (exact) return exact;
  for (auto dot = domain.find('.'); dot != std::string_view::npos; dot = domain.find('.', dot + 1)) {
    RELAIS_TRY(auto above, route_at(txn, domain.substr(dot)));
    if (above) return above;
  }
  return route_at(txn, "*");
}

Result<void> add_dkim_key(Txn& txn, const DkimKey& key) {
  const auto at = key_of(key.domain, key.selector);
  RELAIS_TRY(const auto there, txn.get(Table::dkim_keys, at));
  if (there) return fail(Fault::refused, "the domain has that selector already: " + key.selector, "ALREADYEXISTS");
  return txn.put(Table::dkim_keys, at, encode_dkim_key(key));
}

Result<void> set_dkim_state(Txn& txn, std::string_view domain, std::string_view selector, DkimKey::State state, std::int64_t now) {
  RELAIS_TRY(auto key, existing_key(txn, domain, selector));
  if (key.state == state) return {};
  key.state = state;
  key.changed = now;
  return txn.put(Table::dkim_keys, key_of(domain, selector), encode_dkim_key(key));
}

Result<void> remove_dkim_key(Txn& txn, std::string_view domain, std::string_view selector) {
  RELAIS_TRY_VOID(existing_key(txn, domain, selector));
  return txn.erase(Table::dkim_keys, key_of(domain, selector));
}

Result<std::vector<DkimKey>> dkim_keys(const Txn& txn, std::string_view domain) {
  std::vector<DkimKey> all;
  Result<void> outcome;
  const auto prefix = domain.empty() ? std::string() : key_of(domain, "");
  RELAIS_TRY_VOID(txn.range(Table::dkim_keys, prefix, [&](std::string_view key, std::string_view value) {
    auto found = decode_dkim_key(key, value);
    if (found)
      all.push_back(*std::move(found));
    else
      outcome = fail(std::move(found).error());
    return outcome.has_value();
  }));
  if (!outcome) return fail(std::move(outcome).error());
  return all;
}

Result<void> prepare_srs_secrets(Txn& txn) {
  RELAIS_TRY(const auto there, txn.get(Table::meta, kMetaSrsSecrets));
  if (there) return {};
  return txn.put(Table::meta, kMetaSrsSecrets, encode_secrets({random_octets(kSecretSize)}));
}

Result<std::vector<std::string>> srs_secrets(const Txn& txn) {
  RELAIS_TRY(const auto value, txn.get(Table::meta, kMetaSrsSecrets));
  if (!value) return fail(Fault::corrupt, "directory damaged", "", "directory: no SRS secret");
  return decode_secrets(*value);
}

Result<void> renew_srs_secret(Txn& txn) {
  RELAIS_TRY(auto secrets, srs_secrets(txn));
  secrets.insert(secrets.begin(), random_octets(kSecretSize));
  if (secrets.size() > kSrsSecrets) secrets.resize(kSrsSecrets);
  return txn.put(Table::meta, kMetaSrsSecrets, encode_secrets(secrets));
}

}  // namespace relais::directory
