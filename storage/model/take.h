// A stored message's summary, to be stored elsewhere with it.
#pragma once

#include "message/summary.h"
#include "storage/engine.h"

#include <cstdint>
#include <optional>

namespace relais::storage::model {

struct StoredMessage {
  BlobId blob{};
  std::uint64_t email_id = 0;
  message::Summary summary;  ///< without the Message-ID, which is not stored
};

/// nullopt where the message is not there.
Result<std::optional<StoredMessage>> read_stored(const Reader& reader, MailboxId mailbox, Uid uid);

}  // namespace relais::storage::model
