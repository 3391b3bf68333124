// DKIM signatures for what leaves.
#pragma once

#include "antispam/message_view.h"
#include "base/result.h"
#include "directory/dkim_key.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace relais::antispam {

using directory::DkimKey;

struct DkimSignOptions {
  std::optional<std::int64_t> now{};  ///< t=, seconds since epoch; nothing: the machine's clock
};

/// Signs with each key that is active: "DKIM-Signature: …\r\n" once per key, in the order of the keys, to be put in front of the message.
///
/// relaxed/relaxed, no l= (RFC 6376 §8.2), SHA-256. Signed are the fields that a reader sees or a mailer acts on; those that must be there at most once,
/// From above all, are signed once more than they occur, so that nobody adds a second one (RFC 6376 §8.15).
/// An Ed25519 signature should stand beside an RSA one, since few verify it alone: give both keys (RFC 8463 §3).
/// @return empty where no key is active.
/// Errors: Fault::corrupt where a key can't be read or doesn't fit its algorithm; Fault::refused where the message has no From field or one that
///   can't be signed.
/// Threads: any; pure CPU: about a millisecond for RSA (see docs/performance.md), so run it on a WorkerPool. Source: RFC 6376 §5, RFC 8463.
Result<std::string> dkim_sign(std::span<const DkimKey> keys, const MessageView& message, const DkimSignOptions& options = {});

}  // namespace relais::antispam
