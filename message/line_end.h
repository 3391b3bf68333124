// Line ends of raw octets.
#pragma once

#include <string_view>

namespace relais::message {

/// Does a CR or LF stand in `octets` that is not part of a CRLF (RFC 5321 §2.3.8)? Pure; linear.
bool has_lone_line_end(std::string_view octets) noexcept;

/// `octets` without one CRLF, LF or CR at its end. Pure.
std::string_view without_line_end(std::string_view octets) noexcept;

}  // namespace relais::message
