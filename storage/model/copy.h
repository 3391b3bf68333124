// COPY, MOVE and the emptying of INBOX by RENAME.
#pragma once

#include "storage/model/work.h"
#include "storage/store.h"

#include <cstdint>
#include <string>

namespace relais::storage::model {

/// Copies at most `limit` of the existing messages of `uids`, from the lowest on; less than `limit` copied means that none is left.
/// @param move  the originals go away in the same transaction
Result<CopyResult> copy_messages(Work& work, MailboxId from, const NumberSet& uids, const std::string& to, bool move, std::uint64_t limit);
/// The same with the destination at hand.
Result<CopyResult> copy_messages(Work& work, Box& from, const NumberSet& uids, Box& to, bool move, std::uint64_t limit);
/// Fault::refused OVERQUOTA where all of them together do not fit.
Result<void> check_copy_fits(Work& work, MailboxId from, const NumberSet& uids, const std::string& to);

}  // namespace relais::storage::model
