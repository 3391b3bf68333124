// Matches a POP3 drop to INBOX as the mover does, for the tests (tests/e2e/test_uidl_match.py).
//
// Standard input, a line each; octets are hexadecimal, "-": not asked for:
//   validity N
//   message UID SIZE HEADER     of INBOX, ascending
//   entry SIZE UIDL HEADER      of the drop, in its order
// Prints "match UID HOW" for each entry, "formula TEXT", "order uid" or "order own", "wanted ENTRY" and "wanted-uid UID" each, "finding CODE UID" each.
#include "base/ascii.h"
#include "base/encode.h"
#include "migrate/uidl_match.h"

#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

using namespace relais;
using namespace relais::migrate;

namespace {

std::string octets(const std::string& hex) { return from_hex(hex).value(); }
std::string digest(const std::string& hex) { return hex == "-" ? std::string() : header_digest(octets(hex)); }

}  // namespace

int main() {
  std::uint32_t validity = 0;
  std::vector<InboxMessage> inbox;
  std::vector<DropEntry> drop;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream in(line);
    std::string kind;
    std::string header;
    std::uint64_t size = 0;
    in >> kind;
    if (kind == "validity") {
      in >> validity;
    } else if (kind == "message") {
      storage::Uid uid = 0;
      in >> uid >> size >> header;
      inbox.push_back({.uid = uid, .size = size, .header = digest(header)});
    } else if (kind == "entry") {
      std::string uidl;
      in >> size >> uidl >> header;
      drop.push_back({.uidl = octets(uidl), .size = size, .header = digest(header)});
    }
    if (!in) {
      std::cerr << "not understood: " << line << "\n";
      return EXIT_FAILURE;
    }
  }
  const auto done = match_drop(validity, inbox, drop);
  for (const auto& entry : done.entries) std::cout << "match " << entry.uid << " " << to_string(entry.how) << "\n";
  std::cout << "formula " << done.formula << "\norder " << (done.in_uid_order ? "uid" : "own") << "\n";
  for (const auto entry : done.wanted_entries) std::cout << "wanted " << entry << "\n";
  for (const auto uid : done.wanted_uids) std::cout << "wanted-uid " << uid << "\n";
  for (const auto& finding : done.findings) std::cout << "finding " << finding.code << " " << finding.uid << "\n";
  return EXIT_SUCCESS;
}
