// POP3 drops of anything: no message of INBOX is matched twice, formulas read what they make alone, and headers cut anywhere have a digest.
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/ascii.h"
#include "migrate/uidl_formula.h"
#include "migrate/uidl_match.h"

using namespace relais;
using namespace relais::migrate;

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

// Lines: "i SIZE" a message of INBOX, anything else a UIDL, whose length is its size and whose last octet the digest of its header.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  constexpr std::uint32_t kValidity = 1'234'567'890;
  std::vector<InboxMessage> inbox;
  std::vector<DropEntry> drop;
  for (auto rest = input; !rest.empty();) {
    const auto end = rest.find('\n');
    const auto line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (line.starts_with("i ")) {
      const auto uid = inbox.empty() ? 1 : inbox.back().uid + 1;
      inbox.push_back({.uid = uid, .size = parse_u64(line.substr(2)), .header = std::string(line.substr(line.size() - 1))});
    } else {
      drop.push_back(
          {.uidl = std::string(line), .size = line.size(), .header = line.empty() ? "" : std::string(line.substr(line.size() - 1))});
    }
    for (const auto& formula : known_uidl_formulas()) {
      if (const auto uid = formula.uid_of(line, kValidity)) check(formula.make(*uid, kValidity) == line);
    }
    static_cast<void>(UidlFormula(line).make(7, kValidity));
    static_cast<void>(UidlFormula(line).uid_of(line, kValidity));
  }
  const auto done = match_drop(kValidity, inbox, drop);
  check(done.entries.size() == drop.size());
  std::set<storage::Uid> seen;
  for (const auto& entry : done.entries) {
    check((entry.uid == 0) == (entry.how == FoundBy::nothing));
    check(entry.uid == 0 || seen.insert(entry.uid).second);
    check(entry.uid <= inbox.size());
  }
  check(header_digest(input).size() == 32);
  return 0;
}
