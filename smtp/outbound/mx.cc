// Sorting of MX records.
#include "smtp/outbound/mx.h"

#include "smtp/outbound/dice.h"

#include <algorithm>
#include <unordered_map>

namespace relais::smtp {

MxSet read_mx(std::span<const std::string> rdata) {
  MxSet out;
  std::unordered_map<std::string, std::uint16_t> best;  // a host listed twice counts at its better place
  for (const auto& octets : rdata) {
    const auto record = net::parse_mx(octets);
    if (!record) continue;
    if (record->host.empty()) {
      out.null = rdata.size() == 1;
      continue;
    }
    if (!net::is_host_name(record->host)) continue;
    const auto [place, added] = best.try_emplace(record->host, record->preference);
    if (!added) place->second = std::min(place->second, record->preference);
  }
  for (auto& [host, preference] : best) out.records.push_back({preference, host});
  // The sorting cannot tell equals apart, so they are in random order after it as they were before.
  std::ranges::shuffle(out.records, dice());
  std::ranges::sort(out.records, {}, &net::MxRecord::preference);
  return out;
}

bool drop_from_ourselves(std::vector<net::MxRecord>& sorted, const std::function<bool(const net::MxRecord&)>& is_us) {
  const auto us = std::ranges::find_if(sorted, is_us);
  if (us == sorted.end()) return false;
  const auto preference = us->preference;
  std::erase_if(sorted, [&](const net::MxRecord& record) { return record.preference >= preference; });
  return true;
}

}  // namespace relais::smtp
