// APPEND: the parts between its messages, which the framer does not collect.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "imap/proto/values.h"

namespace relais::imap {

/// What stands before one message.
struct AppendMessage {
  FlagList flags;
  std::optional<DateTime> date;
  bool binary = false;  ///< literal8: the message may hold NUL (RFC 3516 §4.4)
  bool utf8 = false;    ///< `UTF8 (~{n}`: header fields in UTF-8 (RFC 6855 §4); the next part starts with ")"
};

/// The part that ends in the announcement of the first message.
struct AppendStart {
  std::string mailbox;  ///< UTF-8
  AppendMessage message;
};

/// Parses the first part: Tagged::rest of Framer::text() at `message`, up to and including `{n}`.
/// Fault::syntax where it does not end in a literal (an APPEND that came as `command` never had one).
/// Source: RFC 9051 §6.3.12, RFC 3502 §6.3.11, RFC 4466 §2.8 (no append-ext is known: Fault::syntax), RFC 6855 §4.
Result<AppendStart> parse_append(std::string_view rest, Dialect dialect = {});

/// Parses a later part, what came behind a message: Framer::text() at `message` or at `command`.
///
/// @param after_utf8  AppendMessage::utf8 of the message before: its ")" comes first.
/// @return the next message (RFC 3502), or nullopt at the end of the command.
Result<std::optional<AppendMessage>> parse_append_next(std::string_view text, bool after_utf8, Dialect dialect = {});

}  // namespace relais::imap
