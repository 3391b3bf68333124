// Where an account is written to: a place whose UIDs can be dictated.
#pragma once

#include "base/number_set.h"
#include "base/result.h"
#include "migrate/source.h"
#include "net/task.h"
#include "storage/types.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace relais::migrate {

struct TargetTraits {
  std::size_t max_keywords = 0;  ///< different ones in use in a mailbox at one time
};

/// A mailbox of the target and its counters.
struct TargetMailbox {
  std::string name;      ///< storage name
  std::uint64_t id = 0;  ///< the target's own handle, valid as long as it is open
  std::uint32_t uid_validity = 0;
  Uid uid_next = 1;
  ModSeq highest_mod_seq = 0;
  std::uint32_t messages = 0;
  std::uint8_t special_use = storage::kUseNone;
  bool selectable = true;
  std::vector<std::string> keywords{};  ///< in use
};

struct TargetListing {
  std::vector<TargetMailbox> mailboxes{};    ///< INBOX first, then by name. Names that are there for their children alone may be among them
  std::vector<std::string> subscriptions{};  ///< storage names, sorted, also of mailboxes that do not exist
};

/// What lies in the target of a message.
struct TargetDigest {
  Uid uid = 0;
  std::uint64_t size = 0;  ///< octets
  std::array<unsigned char, 32> sha256{};
};

/// Written by one mirror at a time; its calls for different mailboxes may overlap. Every call is a value, not a step: done twice it changes
/// nothing more. A value from a call that writes means that it is durable.
///
/// Errors: Fault::temporary (not reached; full: code "STORAGE_FULL"), Fault::refused (a name, a message, a keyword that is not taken: the
/// reason is for the report), Fault::corrupt. Threads: the loop it was opened on. Lifetime: not destroyed while a call runs.
class Target {
 public:
  virtual ~Target() = default;
  virtual const TargetTraits& traits() const noexcept = 0;

  virtual net::Task<TargetListing> list() = 0;
  /// UIDs of all messages.
  virtual net::Task<NumberSet> uids(const TargetMailbox& mailbox) = 0;
  /// A mailbox with name, UIDVALIDITY (state.uid_validity), special use and kind (selectable or not) of `mailbox`. One that is so already
  /// keeps its messages, whatever its special use was; anything else under the name is emptied.
  virtual net::Task<TargetMailbox> create(const SourceMailbox& mailbox) = 0;
  /// Without its children. The name is free.
  virtual net::Task<void> rename(const TargetMailbox& mailbox, std::string to) = 0;
  /// With its messages, without its children. One that is gone is no error.
  virtual net::Task<void> remove(const TargetMailbox& mailbox) = 0;
  /// Exactly these.
  virtual net::Task<void> set_subscriptions(std::vector<std::string> names) = 0;

  /// All or nothing. Ascending UIDs, above all that is there; messages that are there already, with the same octets, are passed over. The
  /// octets are the caller's until it returns.
  virtual net::Task<void> append(const TargetMailbox& mailbox, std::vector<Message> messages) = 0;
  /// Flags, keywords and MODSEQ (0: a new one where the flags change). UIDs that are not there are ignored.
  virtual net::Task<void> set_flags(const TargetMailbox& mailbox, std::vector<SourceMessage> messages) = 0;
  /// @param mod_seq  when, for clients that ask what vanished since; 0: now
  virtual net::Task<void> expunge(const TargetMailbox& mailbox, NumberSet uids, ModSeq mod_seq) = 0;
  /// The next UID and the highest MODSEQ; 0: as it is. Neither is lowered. Clients that come from below the MODSEQ are told of every UID
  /// that is not there: what the source expunged between two passes is not known here.
  virtual net::Task<void> set_counters(const TargetMailbox& mailbox, Uid uid_next, ModSeq highest_mod_seq) = 0;

  /// Every message with flags, size and MODSEQ, ascending UID.
  virtual net::Task<std::vector<SourceMessage>> flags(const TargetMailbox& mailbox) = 0;
  /// And with dates.
  virtual net::Task<std::vector<SourceMessage>> everything(const TargetMailbox& mailbox) = 0;
  /// The same of these, without those that are gone.
  virtual net::Task<std::vector<SourceMessage>> everything(const TargetMailbox& mailbox, NumberSet uids) = 0;
  /// Of the octets as they lie there, ascending UID; without those that are gone.
  virtual net::Task<std::vector<TargetDigest>> digests(const TargetMailbox& mailbox, NumberSet uids) = 0;
};

}  // namespace relais::migrate
