// What a host said about a message, and for whom.
#pragma once

#include "smtp/outbound/tls_policy.h"
#include "smtp/proto/remote_reply.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace relais::smtp {

enum class Disposition : std::uint8_t { delivered, permanent, temporary };

/// The stage at which it was decided.
enum class Stage : std::uint8_t { connect, greeting, hello, starttls, tls, xclient, auth, mail, rcpt, data, content, local };
/// "MAIL", "end of DATA", …: for logs and for people.
std::string_view to_string(Stage stage) noexcept;

/// Whom a verdict is about, and so what shares it.
enum class Scope : std::uint8_t {
  recipient,  ///< RCPT, or LMTP's reply per recipient
  message,    ///< MAIL, DATA, the content, or what we can't do with this message at this host
  host,  ///< nobody's mail gets there now: no connection, greeting, hello, TLS, AUTH, 421, timeout, garbage; or (stage local, permanent)
         ///< it lacks what this message asks for, and another host of the domain may have it
};

/// One decision with its reasons.
struct Verdict {
  Disposition disposition = Disposition::temporary;
  Scope scope = Scope::recipient;
  Stage stage = Stage::local;
  RemoteReply reply{};   ///< what the host said; code 0: it said nothing, or the decision is ours
  std::string status{};  ///< enhanced code, always there: the reply's, "4.0.0" and so on from its class, or ours ("4.4.2", "5.6.7")
  std::string text{};    ///< where there is no reply: what happened, one line of US-ASCII for people
  /// The final dot was sent and its reply never came: the message may have been delivered. Sending it again may make a duplicate, which RFC
  /// 5321 §4.5.4.1 prefers to a loss.
  bool uncertain = false;

  /// "550 5.1.1 no such user (in reply to RCPT)", or the text.
  std::string line() const;
};

/// What of a policy's TLS came about with a host.
struct TlsResult {
  bool encrypted = false;  ///< of the connection that was used in the end
  bool verified = false;   ///< the certificate was checked and is good, by name or by DANE
  bool fell_back = false;  ///< plaintext because a handshake failed on a connection before this one
  std::string version{};   ///< "TLSv1.3"
  std::string cipher{};
  /// For Outbound::report(). nullopt: nothing to tell, because EHLO was not answered or the policy wants no TLS.
  std::optional<TlsOutcome> outcome{};
};

/// What became of a message, recipient by recipient.
struct Outcome {
  std::vector<Verdict> recipients;  ///< as many and in the order of OutboundMessage::recipients
  /// Another message may follow on this connection.
  bool usable = false;
  /// Nothing was said to the host about this message: the connection, used before, had ended meanwhile. Take another one at once; nothing
  /// is the host's fault. All verdicts are temporary.
  bool stale = false;
  /// The host is troubled or wants less: 421, timeout, connection lost, garbage (not for stale).
  bool host_trouble = false;
  /// NOTIFY, RET, ENVID and ORCPT were passed on: the next host answers for success notices. Else whoever relayed owes the sender a
  /// "relayed" notice for NOTIFY=SUCCESS (RFC 3461 §5.2.2).
  bool dsn_passed = false;
  /// BY was passed on: else a "relayed" notice is owed (RFC 2852 §4.1.4.2).
  bool deliver_by_passed = false;
  bool converted = false;    ///< 8-bit content was sent as quoted-printable or base64: signatures are broken
  std::uint64_t octets = 0;  ///< of content sent
};

}  // namespace relais::smtp
