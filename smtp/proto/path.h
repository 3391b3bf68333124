// Reverse and forward paths, and ESMTP parameters: what MAIL and RCPT have in common.
#pragma once

#include "base/result.h"
#include "message/address.h"

#include <optional>
#include <string>
#include <string_view>

namespace relais::smtp {

/// Reads `<…>` at the front of `rest` and removes it, with the spaces in front of it: real clients send "MAIL FROM: <a@b>", which
/// RFC 5321 §3.3 forbids and every large server takes.
///
/// @return what stands between the brackets without a source route (`@a,@b:`, accepted and ignored: RFC 5321 §4.1.1.3, appendix C); empty
///         for "<>". Not yet checked as an address, since SMTPUTF8 may come after it. Fault::syntax 5.5.4 or the given status otherwise.
/// @param status  enhanced code of a broken path: "5.1.7" for the sender's (RFC 3463 §3.2), "5.1.3" for a recipient's
Result<std::string_view> take_path(std::string_view& rest, std::string_view status);

/// One `keyword[=value]` (RFC 5321 §4.1.2).
struct Parameter {
  std::string_view keyword;
  std::optional<std::string_view> value;
};

/// Reads the next parameter and removes it; nullopt at the end. Fault::syntax "501 5.5.4".
Result<std::optional<Parameter>> take_parameter(std::string_view& rest);

/// "555 5.5.4": MAIL and RCPT parameters that are not implemented (RFC 5321 §4.1.1.11).
Error unknown_parameter();
/// "501 5.5.4": a parameter twice, or with a value it can't have.
Error bad_parameter(std::string_view keyword);

/// RFC 3461 §4: "+" and two upper-case hexadecimal digits stand for an octet. nullopt where it is not well-formed.
std::optional<std::string> decode_xtext(std::string_view text);
std::string encode_xtext(std::string_view octets);

}  // namespace relais::smtp
