// Reading a mailbox as a whole: its view for SELECT, and what changed.
#pragma once

#include "storage/engine.h"
#include "storage/model/records.h"
#include "storage/types.h"

namespace relais::storage::model {

/// Every UID and the first unseen one. Reads the chunks' headers; records only where UIDs have gaps.
/// About 0.1 ms per 100,000 messages.
Result<MailboxView> read_view(const Reader& reader, MailboxId id, MailboxRecord record);

/// What changed after `since`. A mailbox that is gone gives exists = false. Chunks without a change cost a look at their header.
Result<MailboxChanges> read_changes(const Reader& reader, MailboxId id, ModSeq since, bool with_vanished);

}  // namespace relais::storage::model
