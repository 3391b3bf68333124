// Mailbox names: modified UTF-7, INBOX, and list patterns.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace relais::imap {

/// The hierarchy separator of our own names.
inline constexpr char kSeparator = '/';

/// Modified UTF-7 to UTF-8, strictly: printable US-ASCII, "&-", and base64 shifts of well-formed UTF-16 that encode nothing that could
/// be written plainly, with zero padding bits and without two shifts side by side. nullopt otherwise. Source: RFC 3501 §5.1.3.
std::optional<std::string> utf7_to_utf8(std::string_view name);

/// UTF-8 to modified UTF-7. The text must be well-formed UTF-8; nullopt otherwise.
std::optional<std::string> utf8_to_utf7(std::string_view name);

/// A name that may exist: well-formed UTF-8, not empty, without control characters and line or paragraph separators
/// (RFC 6855 §3).
bool is_mailbox_name(std::string_view utf8) noexcept;

/// "inbox" and "Inbox/x" become "INBOX" and "INBOX/x"; other names stay as they are (RFC 9051 §5.1).
void canonicalise_inbox(std::string& name, char separator = kSeparator);

/// Collapses runs of wildcards: "**" and "*%" to "*", "%%" to "%". Same matches, fewer steps.
void collapse_wildcards(std::string& pattern);

/// The longest pattern that list_matches() looks at; octets. Our own limit: longer than any name.
inline constexpr std::size_t kMaxPatternOctets = 1023;

/// Whether the name matches: "*" is any text, "%" any text without the separator. A first level INBOX matches without regard to
/// case. A pattern above kMaxPatternOctets matches nothing. At most O(name × pattern) steps, no recursion, no allocation.
/// Source: RFC 9051 §6.3.9.
/// @param separator  NUL: names have no levels
bool list_matches(std::string_view pattern, std::string_view name, char separator = kSeparator) noexcept;

}  // namespace relais::imap
