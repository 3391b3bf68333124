// MTA-STS policies on disk.
#include "smtp/outbound/sts_store.h"

#include "base/ascii.h"
#include "base/log.h"
#include "net/dns_records.h"
#include "smtp/outbound/durable_file.h"

#include <system_error>

namespace relais::smtp {
namespace {

constexpr std::string_view kFirstLine = "relais-sts 1\n";
constexpr std::string_view kId = "id: ";
constexpr std::string_view kFetched = "fetched: ";
constexpr std::size_t kMaxFile = 256 * 1024;  // octets; a policy has 64 KB at most

std::unexpected<Error> broken() { return fail(Fault::corrupt, "not a policy file"); }

std::string_view take_line(std::string_view& rest, std::string_view prefix) {
  const auto end = rest.find('\n');
  if (end == std::string_view::npos || !rest.starts_with(prefix)) return {};
  const auto value = rest.substr(prefix.size(), end - prefix.size());
  rest.remove_prefix(end + 1);
  return value;
}

}  // namespace

std::string format_sts_file(const StsPolicy& policy) {
  std::string out(kFirstLine);
  out.append(kId).append(policy.id).append("\n");
  out.append(kFetched).append(std::to_string(policy.fetched)).append("\n\n");
  for (const auto& line : policy.lines) out.append(line).append("\n");
  return out;
}

Result<StsPolicy> parse_sts_file(std::string_view text) {
  if (!text.starts_with(kFirstLine)) return broken();
  text.remove_prefix(kFirstLine.size());
  const std::string id(take_line(text, kId));
  const auto fetched = parse_u64(take_line(text, kFetched));
  if (!fetched || *fetched > (std::uint64_t{1} << 48U) || !text.starts_with('\n')) return broken();
  auto policy = parse_sts_policy(text.substr(1));
  if (!policy) return broken();
  policy->id = id;
  policy->fetched = static_cast<std::int64_t>(*fetched);
  return policy;
}

Result<StsStore> StsStore::open(std::filesystem::path directory) {
  RELAIS_TRY_VOID(prepare_directory(directory));
  return StsStore(std::move(directory));
}

Result<std::vector<std::pair<std::string, StsPolicy>>> StsStore::load() const {
  std::vector<std::pair<std::string, StsPolicy>> out;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory_, error)) {
    auto domain = entry.path().filename().string();
    if (!net::is_host_name(domain)) continue;  // none of ours
    auto text = read_file(entry.path(), kMaxFile);
    auto policy = text ? parse_sts_file(*text) : Result<StsPolicy>(std::unexpected(text.error()));
    if (!policy) {
      log::event(log::Level::warning, "sts_policy_lost",
                 {{"domain", domain}, {"reason", policy.error().text + " " + policy.error().detail}});
      std::error_code ignored;
      std::filesystem::remove(entry.path(), ignored);
      continue;
    }
    out.emplace_back(std::move(domain), std::move(*policy));
  }
  if (error) return fail(Fault::temporary, "a directory cannot be read", "", directory_.string() + ": " + error.message());
  return out;
}

Result<void> StsStore::save(const std::string& domain, const StsPolicy& policy) const {
  return replace_file(directory_ / domain, format_sts_file(policy));
}

Result<void> StsStore::remove(const std::string& domain) const { return remove_file(directory_ / domain); }

}  // namespace relais::smtp
