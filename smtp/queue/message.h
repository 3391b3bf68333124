// What is put into the queue: a message, whom it is for, and where each recipient's mail goes.
#pragma once

#include "smtp/proto/dsn.h"
#include "storage/blob.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace relais::smtp::queue {

/// One recipient of a new message.
struct NewRecipient {
  /// Where it goes: the forward-path that the next host is told, or the local address. local@domain, domain in A-labels (UTF-8 in the local
  /// part where the message is SMTPUTF8).
  std::string address;
  /// As the client gave it in RCPT, where that differs from `address` (an alias led there): for Delivered-To and for people. Else empty.
  std::string given{};
  OriginalRecipient original{};  ///< ORCPT; empty where there was none
  Notify notify{};               ///< RFC 3461 §4.1
  /// to_string(Destination) of smtp/outbound/destination.h: "mx:example.net", "smtp:relay.example:25", "lmtp:…", "legacy:NAME",
  /// "account:17", "local". At most kMaxDestination octets, no control characters.
  std::string destination;
};

inline constexpr std::size_t kMaxDestination = 300;  ///< octets

/// What happens when the time of DELIVERBY is over: RFC 2852 §4.
enum class ByMode : std::uint8_t { none, notify, give_up };

/// One message with one reverse-path, for any number of recipients.
///
/// Content that goes out under two reverse-paths (a forward with SRS beside a direct recipient) is two of these with one `content` pointer:
/// the octets are stored once.
struct NewMessage {
  std::string trace_id;  ///< 1 to 100 octets; also the delivery id where a local account gets the message, so unique per message
  std::string sender{};  ///< reverse-path without brackets; empty: null
  std::vector<NewRecipient> recipients{};  ///< at least one
  /// What is sent: trace fields and signatures in front, and the message; CRLF line ends. storage::make_blob(prefix, chunks), with the
  /// chunks of storage::encode_chunks() or of a PreparedMessage.
  std::shared_ptr<const storage::EncodedBlob> content{};
  bool eight_bit = false;       ///< BODY=8BITMIME, or octets above 127 were seen
  bool binary = false;          ///< BODY=BINARYMIME
  bool smtputf8 = false;        ///< RFC 6531
  bool require_tls = false;     ///< RFC 8689 §2
  bool optional_tls = false;    ///< "TLS-Required: No", RFC 8689 §3
  Ret ret = Ret::unset;         ///< RFC 3461 §4.3
  std::string envelope_id{};    ///< ENVID, decoded
  int priority = 0;             ///< MT-PRIORITY, -9 to 9 (RFC 6710)
  std::int64_t hold_until = 0;  ///< seconds since the epoch; 0: now. Not tried before (RFC 4865); expiry counts from there
  std::string hold_request{};   ///< Future-Release-Request for reports (RFC 4865 §5.1.2)
  std::int64_t deliver_by = 0;  ///< seconds since the epoch; 0: none
  ByMode by_mode = ByMode::none;
  bool by_trace = false;      ///< "T" of RFC 2852 §4
  std::int64_t arrival = 0;   ///< seconds since the epoch; 0: now
  std::uint64_t account = 0;  ///< that submitted it; 0: none did
  std::string client{};       ///< who handed it over: "host.example [192.0.2.1]", "user@example.net", "here"
  std::string message_id{};   ///< of the Message-ID field
  std::string parent{};       ///< trace id of the message it came from (a report, a forward); empty: of none
  bool report = false;        ///< a notification of our own: NOTIFY is never given to the next host, none is made about it
};

}  // namespace relais::smtp::queue
