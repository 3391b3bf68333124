// Bodies of storage::Import: messages and counters as they are dictated.
#pragma once

#include "storage/import.h"
#include "storage/model/append.h"
#include "storage/model/work.h"

#include <cstdint>
#include <span>
#include <vector>

namespace relais::storage::model {

/// What can be checked and done before the transaction. `planned` gets `message` with its UID and, where dictated, its mod-sequence.
/// @param before  UID of the message before it in the call; 0 for the first
/// @return Fault::refused as Import::append
Result<PlannedMessage> plan_import(const ImportedMessage& message, Uid before, std::int64_t now);
/// @param blobs  one per message; those of messages that are there already are released
Result<void> append_imported(Work& work, MailboxId mailbox, std::span<const PlannedMessage> messages, std::span<const BlobId> blobs);

/// Sorts by UID and leaves the last of each. Fault::refused CANNOT for what is no keyword, UIDL or mod-sequence.
Result<void> normalize_states(std::vector<ImposedState>& states);
/// @param states  normalised
Result<void> impose_states(Work& work, MailboxId mailbox, std::span<const ImposedState> states);

/// @param mod_seq  0: a new one
/// @param limit  messages that are removed at most, from the lowest UID on  @return how many were
Result<std::uint64_t> expunge_imported(Work& work, MailboxId mailbox, const NumberSet& uids, ModSeq mod_seq, std::uint64_t limit);
Result<void> set_imported_counters(Work& work, MailboxId mailbox, const ImportedCounters& counters);

/// Any from 0 (a new one, or none) to kMaxDictatedModSeq. Fault::refused CANNOT.
Result<void> check_mod_seq(ModSeq mod_seq);

}  // namespace relais::storage::model
