// Replies: codes, enhanced status codes, and their wire form.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace relais::smtp {

/// A reply to one command. The text goes out as given but for octets that may not (control characters, 8-bit octets that are not UTF-8): "?".
struct Reply {
  std::uint16_t code = 250;        ///< RFC 5321 §4.2
  std::string_view enhanced{};     ///< "2.1.0" (RFC 2034 §4, RFC 3463); empty: none, as in 354 and in the replies to EHLO. A literal.
  std::string text{};              ///< '\n' separates lines; UTF-8 only where the client asked for SMTPUTF8 (RFC 6531 §3.7.4.1)

  bool positive() const noexcept { return code < 400; }
  bool temporary() const noexcept { return code >= 400 && code < 500; }
};

/// Most octets of one reply line, CRLF included: RFC 5321 §4.5.3.1.5. Longer texts are cut.
inline constexpr std::size_t kMaxReplyLine = 512;

/// Appends "250-first CRLF 250 last CRLF", the enhanced code in front of each line's text.
void append_reply(std::string& out, const Reply& reply);
/// The same for one line without a Reply object: the common case, no allocation.
void append_reply(std::string& out, std::uint16_t code, std::string_view enhanced, std::string_view text);

/// "550 5.1.1 no such mailbox": for logs and traces.
std::string reply_text(const Reply& reply);

/// The only place where an Error becomes a reply. `error.code` is an enhanced status ("5.1.3"), or a reply code and an enhanced status
/// ("555 5.5.4"); where it is neither (an IMAP code of the storage), the fault decides:
///   syntax     501 5.5.4     refused  550 5.0.0
///   temporary  451 4.3.0     corrupt  451 4.3.0
Reply reply_for(const Error& error);

}  // namespace relais::smtp
