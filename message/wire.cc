// Writes IMAP strings.
#include "message/wire.h"

#include <algorithm>

#include "base/ascii.h"

namespace relais::message {
namespace {

constexpr std::size_t kMaxQuoted = 1000;  // octets; longer ones go as literals, to keep lines short for clients with small line buffers

}  // namespace

void append_imap_string(std::string& out, std::string_view text) {
  bool quotable = text.size() <= kMaxQuoted;
  bool special = false;
  bool has_nul = false;
  for (const char c : text) {
    if (c == '"' || c == '\\')
      special = true;
    else if (c == '\0')
      has_nul = true;
    else if (c == '\r' || c == '\n' || static_cast<unsigned char>(c) >= 0x80)
      quotable = false;
  }
  if (has_nul) {
    std::string clean(text);
    std::erase(clean, '\0');
    return append_imap_string(out, clean);
  }
  if (!quotable) {
    out.push_back('{');
    append_number(out, text.size());
    out.append("}\r\n").append(text);
    return;
  }
  out.push_back('"');
  if (!special) {
    out.append(text);
  } else {
    for (const char c : text) {
      if (c == '"' || c == '\\') out.push_back('\\');
      out.push_back(c);
    }
  }
  out.push_back('"');
}

}  // namespace relais::message
