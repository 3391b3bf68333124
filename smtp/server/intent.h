// The durable note that a message for several accounts was accepted: what is left to do if the process ends in between.
#pragma once

#include "base/result.h"
#include "smtp/proto/dsn.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace relais::smtp {

/// One account that gets a copy.
struct IntentTarget {
  std::uint64_t account = 0;   ///< number in the directory
  std::string login;           ///< the account's address, to look up its placement again
  std::string recipient;       ///< as given in RCPT, for Delivered-To and for a bounce
  Notify notify{};             ///< whether the sender wants a bounce
  OriginalRecipient original{};
  friend bool operator==(const IntentTarget&, const IntentTarget&) = default;
};

/// What stands in front of the message in the reserved account of its shard.
struct Intent {
  std::string id;              ///< delivery id; makes the appends idempotent
  std::string sender;          ///< reverse-path; empty: null
  std::int64_t accepted = 0;   ///< seconds since epoch
  std::string trace;           ///< complete header fields, the same for all targets (Received, …)
  std::vector<IntentTarget> targets;
  Ret ret = Ret::unset;        ///< what a bounce brings back
  std::string envelope_id{};   ///< ENVID, decoded
  bool smtputf8 = false;
  friend bool operator==(const Intent&, const Intent&) = default;
};

/// A header block: one folded X-Relais-Intent field (base64 of a versioned record, see docs/format.md) and then `trace` as it is.
std::string encode_intent(const Intent& intent);

/// An intent read back and where its message begins.
struct StoredIntent {
  Intent intent;
  std::size_t message_offset = 0;  ///< octets of `stored` before the message as the client sent it
};

/// @param stored  the whole stored message, or at least its first octets up to the end of the header block
/// @return Fault::corrupt where it is not what encode_intent() wrote
Result<StoredIntent> decode_intent(std::string_view stored);

}  // namespace relais::smtp
