// Strings in IMAP's wire form, for the parts of responses that are made at delivery and stored.
#pragma once

#include <string>
#include <string_view>

namespace relais::message {

/// Appends an RFC 9051 §9 `string`: quoted where every octet may be (US-ASCII without CR, LF), else a literal "{n}CRLF…". NULs are dropped:
/// neither form may hold one. 8-bit text goes as a literal, which both IMAP4rev1 and IMAP4rev2 clients understand.
void append_imap_string(std::string& out, std::string_view text);

}  // namespace relais::message
