// What a session needs for mail that does not simply go into mailboxes here: small doors to the queue, to other hosts, and to signing keys.
#pragma once

#include "antispam/sending_limits.h"
#include "directory/placement_gate.h"
#include "net/loop.h"
#include "net/task.h"
#include "smtp/outbound/destination.h"
#include "smtp/proto/dsn.h"
#include "smtp/proto/reply.h"
#include "smtp/queue/message.h"
#include "smtp/server/routing.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace relais::smtp {

/// Where mail is accepted that has to wait or to leave. Threads: any.
class Intake {
 public:
  virtual ~Intake() = default;
  /// As queue::Queue::accept(): all or nothing, durable when it returns a value.
  virtual net::Task<void> accept(std::vector<queue::NewMessage> messages) = 0;
  virtual Result<void> writable() const = 0;
};

struct RelayRecipient {
  std::string address;
  Notify notify{};
  OriginalRecipient original{};
};

/// A message for another host, while our client waits.
struct RelayMessage {
  std::string sender{};                    ///< without brackets; empty: null
  std::vector<RelayRecipient> recipients{};
  std::vector<std::string_view> content{}; ///< pieces; outlive the call
  Ret ret = Ret::unset;
  std::string envelope_id{};
  int priority = 0;
  bool eight_bit = false;
  bool binary = false;
  bool smtputf8 = false;
  bool require_tls = false;
};

/// What another host said. Nothing: it gave no answer (not reached, too slow, 421, closed), and the mail is better off in the queue.
struct RelayAnswer {
  std::optional<Reply> reply{};
  std::string host{};   ///< "mail.old.example [192.0.2.1]:25"
  std::string trouble{};  ///< why there is no answer
};

/// One session's talk with one destination: opened when it is first needed, kept from RCPT to the end of the content.
/// Threads: the session's loop. Not destroyed while a call runs.
class Relay {
 public:
  virtual ~Relay() = default;
  /// Would it take mail from this sender for this recipient? Asked with MAIL and RCPT, then RSET.
  virtual net::asio::awaitable<RelayAnswer> check(std::string sender, std::string recipient, bool smtputf8) = 0;
  /// Sends. One answer per recipient, in their order.
  virtual net::asio::awaitable<std::vector<RelayAnswer>> send(const RelayMessage& message) = 0;
};

/// Makes them. Threads: any loop's.
class Relays {
 public:
  virtual ~Relays() = default;
  /// @param destination  of kind smtp, lmtp, legacy or mx   @return null where it does not answer these days: not worth a client's waiting
  virtual std::unique_ptr<Relay> open(const std::string& destination, net::Loop& loop) = 0;
};

/// A message that is to be signed. The octets outlive the call.
struct ToSign {
  std::string_view content{};
  bool binary = false;    ///< BODY=BINARYMIME
  bool smtputf8 = false;  ///< its header may hold UTF-8
};

struct Signatures {
  std::string fields{};   ///< DKIM-Signature fields; empty: it is not signed
  std::string content{};  ///< the message that was signed, header and body, where it had to change for that; empty: it is as it was given
};

/// Signs what leaves. Threads: any loop's; the work is done by workers. The octets outlive the call.
class Signer {
 public:
  virtual ~Signer() = default;
  /// With the active keys of a domain; no fields where it has none, or they can't sign this message (which is logged).
  /// Content that is not 7bit is made so first (RFC 6376 §5.3): a host without 8BITMIME makes us, or the next relay, do that later, when it
  /// would break the signature. As it is stays what can't be converted, and what bears a signature already.
  virtual net::asio::awaitable<Signatures> sign(std::string domain, ToSign message) = 0;
  /// An ARC set in the name of `domain`, for a message that is forwarded as it came; empty where there is no key that may seal, and where
  /// the chain takes no more.
  virtual net::asio::awaitable<std::string> seal(std::string domain, std::string_view header, std::string_view body) = 0;
};

/// All of it. Outlives every session.
struct Outgoing {
  Intake& intake;
  Relays* relays = nullptr;                   ///< null: what could be relayed inside the session is queued
  Signer* signer = nullptr;                   ///< null: nothing is signed
  antispam::SendingLimits* sending = nullptr; ///< null: accounts may send without limit
  directory::PlacementGate* gate = nullptr;   ///< null: nothing is given to legacy platforms inside a session, all of it is queued
  /// Whether a destination can take mail at all: Fault::refused with an enhanced status where it is known that it can't (no such domain, null MX).
  /// Asked at RCPT, where the user can still correct a typing error; nothing is waited for longer than Options::domain_check. Empty: not asked.
  std::function<net::Task<void>(Destination)> check{};
};

}  // namespace relais::smtp
