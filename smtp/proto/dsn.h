// What a sender says about notifications: RET, ENVID, NOTIFY, ORCPT.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace relais::smtp {

/// How much of a message a failure notice brings back: RFC 3461 §4.3.
enum class Ret : std::uint8_t { unset, full, headers };

/// When a sender wants a notice for a recipient: RFC 3461 §4.1.
struct Notify {
  static constexpr std::uint8_t kNever = 1;  ///< alone
  static constexpr std::uint8_t kSuccess = 2;
  static constexpr std::uint8_t kFailure = 4;
  static constexpr std::uint8_t kDelay = 8;
  std::uint8_t bits = 0;  ///< 0: the parameter was absent, which means failure and delay

  bool given() const noexcept { return bits != 0; }
  bool never() const noexcept { return (bits & kNever) != 0; }
  bool success() const noexcept { return (bits & kSuccess) != 0; }
  bool failure() const noexcept { return bits == 0 || (bits & kFailure) != 0; }
  bool delay() const noexcept { return bits == 0 || (bits & kDelay) != 0; }
  friend bool operator==(const Notify&, const Notify&) = default;
};

/// The address a sender gave first, before any alias: RFC 3461 §4.2.
struct OriginalRecipient {
  std::string type;     ///< lower case: "rfc822", "utf-8" (RFC 6533 §3)
  std::string address;  ///< decoded; UTF-8 for "utf-8", else printable US-ASCII
  bool empty() const noexcept { return type.empty(); }
  friend bool operator==(const OriginalRecipient&, const OriginalRecipient&) = default;
};

inline constexpr std::size_t kMaxEnvelopeId = 100;         ///< characters of ENVID as sent: RFC 3461 §4.4
inline constexpr std::size_t kMaxOriginalRecipient = 500;  ///< characters of ORCPT as sent: RFC 3461 §4.2

/// The values of the parameters. nullopt where they are malformed. Pure.
std::optional<Ret> parse_ret(std::string_view value);
std::optional<Notify> parse_notify(std::string_view value);
/// @return the decoded identifier
std::optional<std::string> parse_envelope_id(std::string_view value);
std::optional<OriginalRecipient> parse_original_recipient(std::string_view value);

/// "SUCCESS,DELAY", "NEVER"; empty where the parameter was absent. parse_notify() gives the same back.
std::string to_string(Notify notify);
/// "FULL", "HDRS", or empty.
std::string_view to_string(Ret ret) noexcept;
/// "rfc822;a+2Bb@example.org": the value of ORCPT in US-ASCII. parse_original_recipient() gives the same back.
std::string to_string(const OriginalRecipient& recipient);

}  // namespace relais::smtp
