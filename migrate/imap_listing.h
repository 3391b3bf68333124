// From what an IMAP server lists to mailboxes under our names. Pure.
#pragma once

#include "imap/proto/response.h"
#include "migrate/source.h"

#include <optional>
#include <span>
#include <vector>

namespace relais::migrate {

/// How the server's clients see names: the first personal namespace, or where it tells none the separator that LIST "" "" gave.
directory::NameView view_of(const imap::Namespaces& namespaces, std::optional<char> separator);

/// What a server has told of its mailboxes.
struct ImapListed {
  imap::Namespaces namespaces{};
  std::vector<imap::ListedMailbox> mailboxes{};
  std::vector<imap::ListedMailbox> subscribed{};  ///< by LSUB; empty where the attributes say it
  std::vector<imap::MailboxStatus> status{};
};
/// @param names  view_of() them. Mailboxes of the namespaces of others, names that would fall on one, and those that the storage cannot
/// have are in `left`.
SourceListing make_listing(directory::NameView names, const ImapListed& listed);

/// A STATUS as a cursor.
Cursor cursor_of(const imap::MailboxStatus& status);
/// Flags, date, size, MODSEQ of a FETCH response that has a UID.
SourceMessage message_of(const imap::FetchResult& fetched);

}  // namespace relais::migrate
