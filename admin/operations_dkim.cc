// relais dkim add|list|activate|retire|rm
#include "admin/operations.h"

#include "antispam/dkim_keys.h"
#include "base/clock.h"
#include "message/address.h"

#include <algorithm>
#include <array>

namespace relais::admin {
namespace {

using directory::DkimKey;

Result<json> describe(const DkimKey& key) {
  RELAIS_TRY(const auto record, antispam::dkim_record(key));
  return json{{"domain", key.domain}, {"selector", key.selector}, {"algorithm", to_string(key.algorithm)}, {"state", to_string(key.state)},
              {"created", key.created}, {"changed", key.changed}, {"record", {{"name", record.name}, {"type", "TXT"}, {"value", record.value}, {"zone", record.zone_line}}}};
}

Result<std::vector<DkimKey::Algorithm>> algorithms(const json& request) {
  using enum DkimKey::Algorithm;
  const auto text = text_argument_or(request, "algorithm", "both");
  if (text == "both") return std::vector{rsa_sha256, ed25519_sha256};
  if (text == "rsa") return std::vector{rsa_sha256};
  if (text == "ed25519") return std::vector{ed25519_sha256};
  return fail(Fault::syntax, "an algorithm is rsa, ed25519 or both, not '" + text + "'");
}

// A selector that the domain has not yet: the day's, then with a letter behind it.
std::string free_selector(const std::vector<DkimKey>& keys, DkimKey::Algorithm algorithm, std::int64_t now) {
  const auto base = antispam::default_selector(algorithm, now);
  auto name = base;
  const auto taken = [&](const std::string& selector) { return std::ranges::find(keys, selector, &DkimKey::selector) != keys.end(); };
  for (char letter = 'b'; taken(name) && letter <= 'z'; ++letter) name = base + letter;
  return name;
}

// A first key signs at once: without its record nobody can check it, and it is worth what no signature is. A further one waits until its record
// is published, or mail that was good so far would not be.
net::Task<json> add(Backend& backend, const json& request) {
  RELAIS_CO_TRY(const auto given, text_argument(request, "domain"));
  RELAIS_CO_TRY(const auto domain, message::to_ascii_domain(given));
  RELAIS_CO_TRY(const auto kinds, algorithms(request));
  const auto selector = text_argument_or(request, "selector", "");
  if (!selector.empty() && kinds.size() > 1) co_return fail(Fault::syntax, "a selector is for one key: give --algorithm rsa or ed25519 with it");
  RELAIS_CO_TRY(const auto keys, co_await backend.directory.dkim_keys(domain));
  RELAIS_CO_TRY(const bool ours, co_await backend.directory.is_local_domain(domain));
  const auto now = system_clock().seconds();
  auto rows = json::array();
  for (const auto algorithm : kinds) {
    const bool first = std::ranges::none_of(keys, [&](const DkimKey& key) { return key.algorithm == algorithm && key.state == DkimKey::State::active; });
    const auto state = first && !request.value("pending", false) ? DkimKey::State::active : DkimKey::State::pending;
    const auto name = selector.empty() ? free_selector(keys, algorithm, now) : selector;
    auto job = [&] { return antispam::make_dkim_key(domain, name, algorithm, state, now); };
    RELAIS_CO_TRY(auto key, co_await backend.workers.run(job));
    RELAIS_CO_TRY_VOID(co_await backend.directory.add_dkim_key(key));
    RELAIS_CO_TRY(auto row, describe(key));
    rows.push_back(std::move(row));
  }
  co_return json{{"domain", domain}, {"keys", std::move(rows)}, {"local_domain", ours}};
}

net::Task<json> list(Backend& backend, const json& request) {
  auto domain = text_argument_or(request, "domain", "");
  if (!domain.empty()) {
    RELAIS_CO_TRY(domain, message::to_ascii_domain(domain));
  }
  RELAIS_CO_TRY(const auto keys, co_await backend.directory.dkim_keys(domain));
  auto rows = json::array();
  for (const auto& key : keys) {
    RELAIS_CO_TRY(auto row, describe(key));
    rows.push_back(std::move(row));
  }
  co_return json{{"keys", std::move(rows)}};
}

net::Task<DkimKey> existing(Backend& backend, const json& request) {
  RELAIS_CO_TRY(const auto given, text_argument(request, "domain"));
  RELAIS_CO_TRY(const auto domain, message::to_ascii_domain(given));
  RELAIS_CO_TRY(const auto selector, text_argument(request, "selector"));
  RELAIS_CO_TRY(const auto keys, co_await backend.directory.dkim_keys(domain));
  const auto found = std::ranges::find(keys, selector, &DkimKey::selector);
  if (found == keys.end()) co_return fail(Fault::refused, "no key '" + selector + "' of " + domain + "; relais dkim list " + domain + " shows those there are");
  co_return *found;
}

net::Task<json> set_state(Backend& backend, const json& request, DkimKey::State state) {
  RELAIS_CO_TRY(auto key, co_await existing(backend, request));
  RELAIS_CO_TRY_VOID(co_await backend.directory.set_dkim_state(key.domain, key.selector, state));
  key.state = state;
  RELAIS_CO_TRY(auto row, describe(key));
  co_return row;
}
net::Task<json> activate(Backend& backend, const json& request) { return set_state(backend, request, DkimKey::State::active); }
net::Task<json> retire(Backend& backend, const json& request) { return set_state(backend, request, DkimKey::State::retired); }

net::Task<json> remove(Backend& backend, const json& request) {
  RELAIS_CO_TRY(const auto key, co_await existing(backend, request));
  if (key.state == DkimKey::State::active && !request.value("force", false)) {
    co_return fail(Fault::refused, "the key signs: relais dkim retire " + key.domain + " " + key.selector +
                                       " first, and remove it when the mail that it signed has arrived (or --force)");
  }
  RELAIS_CO_TRY_VOID(co_await backend.directory.remove_dkim_key(key.domain, key.selector));
  co_return json{{"domain", key.domain}, {"selector", key.selector}, {"removed", true}};
}

constexpr std::array<Operation, 5> kOperations{
    {{"dkim add", add}, {"dkim list", list}, {"dkim activate", activate}, {"dkim retire", retire}, {"dkim rm", remove}}};

}  // namespace

std::span<const Operation> dkim_operations() { return kOperations; }

}  // namespace relais::admin
