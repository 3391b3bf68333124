// Object identifiers as clients see them (RFC 8474 §7: letters, digits, "_" and "-").
#pragma once

#include "base/ascii.h"
#include "storage/types.h"

#include <charconv>
#include <string>

namespace relais::imap {

/// MAILBOXID: "M12".
inline std::string mailbox_id_text(storage::MailboxId id) { return "M" + std::to_string(static_cast<std::uint32_t>(id)); }

/// EMAILID and THREADID: a letter and sixteen hexadecimal digits.
inline void append_object_id(std::string& out, char kind, std::uint64_t id) {
  constexpr char kDigits[] = "0123456789abcdef";
  out += kind;
  for (int shift = 60; shift >= 0; shift -= 4) out += kDigits[(id >> shift) & 15];
}

/// The inverse; nullopt for an id that we never made.
inline std::optional<std::uint64_t> parse_object_id(std::string_view text, char kind) {
  if (text.size() != 17 || text.front() != kind) return std::nullopt;
  std::uint64_t id = 0;
  const auto [end, error] = std::from_chars(text.data() + 1, text.data() + text.size(), id, 16);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return id;
}

}  // namespace relais::imap
