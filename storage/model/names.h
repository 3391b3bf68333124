// Mailbox names: which are allowed, and the one form in which each is stored.
#pragma once

#include "base/result.h"

#include <string>
#include <string_view>

namespace relais::storage::model {

inline constexpr std::size_t kMaxLevel = 255;      ///< octets of one level of a name
inline constexpr std::size_t kMaxName = 1'000;     ///< octets of a whole name
inline constexpr std::string_view kInbox = "INBOX";

/// The stored form: UTF-8 in NFC (RFC 9051 §5.1 wants Net-Unicode, RFC 5198 §2); "INBOX" upper case in whatever case it was written
/// (RFC 9051 §5.1), also as first level of a longer name.
/// @return Fault::refused CANNOT for what is no UTF-8, empty, too long, has an empty level, a control character or a line or paragraph separator
Result<std::string> normalize_name(std::string_view name);

/// "a/b" for "a/b/c"; empty for a name of one level.
std::string_view parent_of(std::string_view name) noexcept;
/// True for "a/b" below "a".
bool is_below(std::string_view name, std::string_view ancestor) noexcept;
/// INBOX first, then by octets with '/' before everything else, so that children follow their parent.
bool name_less(std::string_view a, std::string_view b) noexcept;

}  // namespace relais::storage::model
