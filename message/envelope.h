// ENVELOPE of a message or embedded message in IMAP's wire form.
#pragma once

#include <string>
#include <string_view>

#include "message/wire.h"

namespace relais::message {

/// Appends the parenthesised ENVELOPE of RFC 9051 §7.5.2 for a message with this header. Several fields of one name: the addresses of all,
/// so that none can hide behind another; the text of the last, which is the one that a DKIM signature of the sender covers (RFC 6376
/// §5.4.2).
void append_envelope(std::string& out, std::string_view header, WireBudget& budget);

}  // namespace relais::message
