// Findings for people and scripts.
#include "admin/finding_json.h"

#include "base/ascii.h"
#include "migrate/scan.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

namespace relais::admin {

using nlohmann::json;

std::string shown(std::string text) {
  const bool utf8 = is_utf8(text);
  std::string out;
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet < 0x20 || octet == 0x7F || (octet >= 0x80 && !utf8))
      fmt::format_to(std::back_inserter(out), "%{:02X}", octet);
    else
      out += c;
  }
  return out;
}

json describe(const migrate::Finding& finding) {
  json row{{"code", finding.code}, {"weight", migrate::to_string(finding.weight)}, {"text", shown(finding.text)}};
  if (!finding.mailbox.empty()) row["mailbox"] = shown(finding.mailbox);
  if (finding.uid != 0) row["uid"] = finding.uid;
  if (!finding.source_value.empty() || !finding.target_value.empty()) {
    row["there"] = shown(finding.source_value);
    row["here"] = shown(finding.target_value);
  }
  return row;
}

}  // namespace relais::admin
