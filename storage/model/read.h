// Reading a mailbox as a whole: its view for SELECT, and what changed.
#pragma once

#include "storage/engine.h"
#include "storage/model/records.h"
#include "storage/types.h"

namespace relais::storage::model {

/// Every UID and the first unseen one. Reads the groups; chunks only where UIDs have gaps or the first unseen one may be.
Result<MailboxView> read_view(const Reader& reader, MailboxId id, MailboxRecord record);

/// What changed after `since`. A mailbox that is gone gives exists = false. What lies in groups without a change costs nothing.
Result<MailboxChanges> read_changes(const Reader& reader, MailboxId id, ModSeq since, bool with_vanished);

}  // namespace relais::storage::model
