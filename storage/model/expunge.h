// EXPUNGE.
#pragma once

#include "storage/model/work.h"
#include "storage/store.h"

#include <cstdint>

namespace relais::storage::model {

/// Removes at most `limit` of the messages in `uids` that carry \Deleted, or of all of them with `any_flag`; less than `limit` removed means
/// that none is left.
Result<ExpungeResult> expunge_messages(Work& work, MailboxId mailbox, const NumberSet& uids, bool any_flag, std::uint64_t limit);

}  // namespace relais::storage::model
