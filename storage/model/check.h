// Does everything in a shard agree with everything else?
#pragma once

#include "storage/engine.h"

#include <cstdint>

namespace relais::storage {

struct ModelReport : CheckReport {
  std::uint64_t importing = 0;  ///< accounts that are being brought here
  std::uint64_t sealed = 0;     ///< accounts that were taken away from here and are not erased yet
};

/// Verifies the mailbox model's records of one shard, at one instant: each record decodes; chunks and their groups are in order, with
/// right headers, and agree with the mailbox's counters and with the message records, one for one; header records belong to messages; names and mailboxes belong to
/// each other and every parent exists; tombstones are counted and name no message that is there; usage is the sum of the mailboxes; and each blob
/// has as many references as messages name it; an account that is open has an INBOX, and attributes belong to mailboxes.
///
/// Engine::check() verifies the layers below. Reads only; serving goes on meanwhile; minutes for millions of messages: run it on a worker.
/// Memory: 8 octets per message.
Result<ModelReport> check_model(const Engine& engine);

}  // namespace relais::storage
