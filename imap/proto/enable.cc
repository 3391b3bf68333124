// ENABLE's arguments.
#include "imap/proto/enable.h"

#include "base/ascii.h"
#include "imap/proto/cursor.h"

namespace relais::imap {

// enable = "ENABLE" 1*(SP capability)                                          RFC 9051 §9
Result<EnableArgs> parse_enable(std::string_view rest) {
  Cursor in(rest);
  EnableArgs args;
  do {
    in.sp();
    if (args.capabilities.size() == kMaxEnable) in.miss("fewer capabilities");
    args.capabilities.push_back(to_upper(in.atom()));
  } while (in.ok() && !in.at_end());
  if (!in.ok()) return in.error();
  return args;
}

}  // namespace relais::imap
