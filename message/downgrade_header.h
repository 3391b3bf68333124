// Header fields without 8-bit octets. Internal to message/.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "message/header.h"

namespace relais::message {

/// Appends the field with its line end as US-ASCII: display names and unstructured text as encoded words, parameters by RFC 2231. A field
/// that is ASCII already stays as it is but for its line ends. Errors: as to_seven_bit().
Result<void> append_seven_bit_field(std::string& out, const Field& field);

/// Appends octets with every CR or LF that stands alone made CR LF, NUL made "?", and with `ascii` octets above 127 too.
void append_clean(std::string& out, std::string_view octets, bool ascii);

}  // namespace relais::message
