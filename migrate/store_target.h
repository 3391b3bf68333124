// An account in the storage as a target.
#pragma once

#include "migrate/target.h"
#include "storage/import.h"
#include "storage/store.h"

#include <memory>

namespace relais::migrate {

/// Writes through storage::Import, so the account must be `importing` (Fault::refused "STATE" from what writes, where it is not); what only
/// reads works in any state. Messages are prepared a few at a time, and the loop is let go between them.
/// Lifetime: both outlive it. Threads: one loop's.
std::unique_ptr<Target> make_store_target(storage::Store& store, storage::Import& import, storage::AccountRef account);

}  // namespace relais::migrate
