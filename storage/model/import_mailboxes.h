// Bodies of storage::Import: the account's state, mailboxes and subscriptions as they are dictated.
#pragma once

#include "storage/import.h"
#include "storage/model/work.h"

#include <optional>
#include <string>
#include <vector>

namespace relais::storage::model {

/// For Door::states.
Result<void> change_state(Work& work, AccountState expected, AccountState state);
/// The name is normalised. @return nullopt where what is being cleared away has the dictated id: then clear_dead(), and again
Result<std::optional<MailboxInfo>> import_mailbox(Work& work, const ImportedMailbox& mailbox);
/// @param to  normalised
Result<void> rename_imported(Work& work, MailboxId id, const std::string& to);
Result<void> remove_imported(Work& work, MailboxId id);
/// @param names  normalised
Result<void> replace_subscriptions(Work& work, const std::vector<std::string>& names);

}  // namespace relais::storage::model
