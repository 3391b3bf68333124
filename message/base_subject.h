// The subject without "Re:" and the like: what THREAD and SORT compare.
#pragma once

#include <string>
#include <string_view>

namespace relais::message {

/// RFC 5256 §2.1: encoded words decoded, white space collapsed, "Re:", "Fwd:", "[list]" and "(fwd)" taken off until nothing changes. Linear
/// time.
/// @param value     A Subject field's value, folded or not.
/// @param is_reply  Set where a "Re:" or "Fwd:" or the like was taken off, if not null.
std::string base_subject(std::string_view value, bool* is_reply = nullptr);

}  // namespace relais::message
