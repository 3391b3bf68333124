// Reads what scan.h judges: an account as its platform shows it, without leaving a trace there.
#pragma once

#include "directory/legacy.h"
#include "directory/legacy_hosts.h"
#include "migrate/imap_source.h"
#include "migrate/scan.h"
#include "net/loop.h"

#include <memory>
#include <string>

namespace relais::migrate {

/// Opens an account of a platform over IMAP, logged in to by the platform's master.
/// @param user  as the platform calls it (directory::legacy_user)
/// Errors: as Source; Fault::refused "CANNOT" where the platform has no IMAP or no master.
net::Task<std::unique_ptr<Source>> open_as_master(directory::LegacyHosts& hosts, directory::LegacyPlatform platform, std::string user,
                                                  net::Loop& loop);

/// Counts every mailbox, reads a few messages to see what that costs, and asks twice for the state of all mailboxes: the second time costs
/// what a delta will cost. A mailbox that cannot be read is a finding, and so is a message that cannot be.
///
/// @param now  seconds since epoch
/// Memory: the flags, sizes and dates of one mailbox. Errors: those of the source, where the account as a whole cannot be read.
net::Task<AccountInventory> take_inventory(Source& source, std::int64_t now);

}  // namespace relais::migrate
