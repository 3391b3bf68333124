// Fetching: batches of messages' records.
#pragma once

#include "storage/engine.h"
#include "storage/store.h"

#include <vector>

namespace relais::storage::model {

/// A message of the batch whose content the snapshot could not give: it is not cached, or was released meanwhile.
struct PendingContent {
  std::size_t index = 0;  ///< in FetchBatch::messages
  BlobId blob{};
};

/// Whether a blob could not be read because it is released and reclaimed, and no longer asked for.
inline bool is_gone(const Error& error) { return error.fault == Fault::refused && error.code == "NONEXISTENT"; }

/// Fills the batch but for the contents in `pending`, whose messages have has_content set and content empty.
/// Fault::refused NONEXISTENT where the mailbox is gone.
Result<void> read_batch(const Snapshot& snapshot, MailboxId mailbox, const FetchRequest& request, FetchBatch& batch,
                        std::vector<PendingContent>& pending);

/// A blob that cannot be found: its message was expunged meanwhile (a value), or the storage lost it (Fault::corrupt).
Result<void> check_expunged(const Engine& engine, AccountId account, MailboxId mailbox, Uid uid, BlobId blob);
/// What a reader of such a message is told.
std::unexpected<Error> message_is_gone();

/// Appends to batch.octets with all views kept right, whether it moves or not.
/// @param more  octets that are about to be appended
void reserve_octets(FetchBatch& batch, std::size_t more);

}  // namespace relais::storage::model
