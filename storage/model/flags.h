// STORE.
#pragma once

#include "storage/model/work.h"
#include "storage/store.h"

namespace relais::storage::model {

/// The body of Store::store_flags. Only what really changes gets a new mod-sequence (RFC 7162 §3.1.3).
Result<StoreFlagsResult> store_flags(Work& work, MailboxId mailbox, const StoreFlagsRequest& request);

}  // namespace relais::storage::model
