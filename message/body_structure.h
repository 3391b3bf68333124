// BODY and BODYSTRUCTURE of a message in IMAP's wire form.
#pragma once

#include <string>
#include <string_view>

#include "message/mime.h"
#include "message/wire.h"

namespace relais::message {

/// Appends both forms of RFC 9051 §7.5.2.
/// @param message  The octets that `structure` was made from.
/// @param body            Gets BODY, without extension data.
/// @param body_structure  Gets BODYSTRUCTURE, with it.
void append_body_structure(std::string& body, std::string& body_structure, const Structure& structure, std::string_view message,
                           WireBudget& budget);

}  // namespace relais::message
