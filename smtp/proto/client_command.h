// Commands that a client sends.
#pragma once

#include "base/result.h"
#include "smtp/proto/dsn.h"
#include "smtp/proto/mail.h"
#include "smtp/proto/remote_offer.h"
#include "smtp/proto/schedule.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace relais::smtp {

/// What MAIL says. Each parameter goes out only where the server offers its extension.
struct MailCommand {
  std::string_view sender;  ///< without brackets; empty: null reverse-path
  std::uint64_t size = 0;   ///< octets; 0: not said
  Body body = Body::seven_bit;
  bool smtputf8 = false;
  bool require_tls = false;
  Ret ret = Ret::unset;
  std::string_view envelope_id{};  ///< decoded
  std::optional<DeliverBy> deliver_by{};
  std::optional<int> priority{};
};

struct RcptCommand {
  std::string_view recipient;  ///< without brackets
  Notify notify{};
  const OriginalRecipient* original = nullptr;  ///< null: no ORCPT
};

/// Whether an address can stand between the brackets of MAIL and RCPT: no control characters, no bracket or space outside of quotes.
bool fits_in_path(std::string_view address) noexcept;

/// Each appends one command line with CRLF, or nothing and an error: Fault::refused with code 5.1.7 (sender), 5.1.3 (recipient) or 5.5.4
/// where a value holds octets that no command line may (CR, LF, NUL, "<", ">" outside of quotes): nothing that a client sent us becomes a
/// second command elsewhere. Pure.
Result<void> append_mail(std::string& out, const MailCommand& command, const RemoteOffer& offer);
Result<void> append_rcpt(std::string& out, const RcptCommand& command, const RemoteOffer& offer);
/// @param verb "EHLO", "HELO" or "LHLO"
Result<void> append_hello(std::string& out, std::string_view verb, std::string_view name);
void append_bdat(std::string& out, std::uint64_t size, bool last);
/// `AUTH mechanism [initial-response]`, the response in base64, "=" where it is empty: RFC 4954 §4. nullopt: none.
void append_auth(std::string& out, std::string_view mechanism, std::optional<std::string_view> initial_response);

/// Attributes and their values: "ADDR", "192.0.2.1". Values go out as xtext, empty ones as [UNAVAILABLE].
using XclientAttributes = std::span<const std::pair<std::string, std::string>>;
/// XCLIENT with those attributes that the server takes; nothing where it takes none of them. Postfix XCLIENT_README.
/// @return whether anything was appended
bool append_xclient(std::string& out, XclientAttributes attributes, const RemoteOffer& offer);

}  // namespace relais::smtp
