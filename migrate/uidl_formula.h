// UIDLs that a server makes of a message's UID and its mailbox's UIDVALIDITY.
#pragma once

#include "storage/types.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace relais::migrate {

/// "%08xu%08xv" and its like: %u is the UID, %v UIDVALIDITY; x in front of the letter for hexadecimal digits, X for upper-case ones; in
/// front of that the least number of digits, filled up with zeros. Everything else stands for itself. As Dovecot writes pop3_uidl_format,
/// whose X is our x. Pure.
class UidlFormula {
 public:
  /// @param text  outlives it  Lengths above 10 digits and other letters behind "%" stand for themselves.
  explicit constexpr UidlFormula(std::string_view text) noexcept : text_(text) {}

  std::string make(storage::Uid uid, std::uint32_t uid_validity) const;
  /// The inverse of make(): nullopt where no UID gives this UIDL.
  std::optional<storage::Uid> uid_of(std::string_view uidl, std::uint32_t uid_validity) const;
  bool has_uid_validity() const noexcept;
  std::string_view text() const noexcept { return text_; }

 private:
  std::string_view text_;
};

/// Those of servers that are known, and of what their admins were told to set when they came from another one.
std::span<const UidlFormula> known_uidl_formulas() noexcept;

}  // namespace relais::migrate
