// What could not be carried, or differs: one line of an account's report.
#pragma once

#include <cstdint>
#include <string>

namespace relais::migrate {

/// How bad.
enum class Weight : std::uint8_t {
  note,   ///< told, nothing follows: "kept, not served yet"
  amber,  ///< a user may notice: the admin should look before the switch
  red,    ///< no switch before a person has decided
};

/// Codes are the report's and never change: "missing", "extra", "flags-differ", "date-differs", "size-differs".
struct Finding {
  std::string code;
  Weight weight = Weight::note;
  std::string mailbox{};       ///< storage name; empty: the account
  std::uint32_t uid = 0;       ///< 0: the mailbox
  std::string text{};          ///< one line for people, UTF-8
  std::string source_value{};  ///< where two values differ
  std::string target_value{};
  /// The same finding twice is one: by code, mailbox and uid.
  friend bool operator==(const Finding& a, const Finding& b) noexcept {
    return a.code == b.code && a.mailbox == b.mailbox && a.uid == b.uid;
  }
};

}  // namespace relais::migrate
