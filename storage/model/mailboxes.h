// Mailboxes as names: list, create, rename, delete, subscribe.
#pragma once

#include "storage/model/work.h"
#include "storage/store.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace relais::storage::model {

inline constexpr std::size_t kMaxSubscriptions = kMaxMailboxes;  ///< to names without mailbox

/// Mailboxes and subscriptions, sorted. `context.recent` tells claims.
Result<std::vector<MailboxInfo>> list_mailboxes(const Reader& reader, const Context& context);
/// One of them by its normalised name. Fault::refused NONEXISTENT where it is missing or \Noselect.
Result<MailboxInfo> mailbox_status(const Reader& reader, const Context& context, const std::string& name);

/// A special use belongs to one mailbox; one that never held a message gives it up. Fault::refused USEATTR.
Result<void> claim_special_use(Work& work, std::uint8_t special_use, std::string_view for_name);
/// Whether one of them lies below the name.
bool has_children(const std::vector<std::pair<MailboxId, MailboxRecord>>& all, std::string_view name);

// Bodies of the calls in store.h; names are normalised.
Result<MailboxInfo> create_mailbox(Work& work, const std::string& name, std::uint8_t special_use,
                                   std::optional<std::uint32_t> uid_validity);
/// @param limit  messages of INBOX that are moved at most  @return INBOX's id where some are left to be moved
Result<std::optional<MailboxId>> rename_mailbox(Work& work, const std::string& from, const std::string& to, std::uint64_t limit);
Result<void> remove_mailbox(Work& work, const std::string& name);
Result<void> set_subscribed(Work& work, const std::string& name, bool subscribed);
/// Every mailbox goes; clear_dead() and erase_emptied() do the rest.
Result<void> bury_all(Work& work);

}  // namespace relais::storage::model
