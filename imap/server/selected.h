// The selected mailbox as this session's client knows it.
#pragma once

#include "base/number_set.h"
#include "base/result.h"
#include "imap/proto/values.h"
#include "net/connection.h"
#include "net/loop.h"
#include "storage/types.h"

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace relais::imap {

/// The session's ear at the change feed: how far the mailbox has come, without asking the store.
///
/// hear() runs on committers' threads; all else on the session's. A session in IDLE is woken through its connection.
class Watch : public std::enable_shared_from_this<Watch> {
 public:
  explicit Watch(net::Connection& connection) : loop_(connection.loop()), connection_(&connection) {}

  /// Which mailbox to listen for. follow_any() is for the time of opening it: nothing may slip through before its id is known.
  void follow(storage::MailboxId mailbox) noexcept { mailbox_.store(static_cast<std::uint64_t>(mailbox), std::memory_order_release); }
  void follow_any() noexcept {
    mod_seq_.store(0, std::memory_order_relaxed);
    mailbox_.store(kAny, std::memory_order_release);
  }
  void follow_none() noexcept { mailbox_.store(kNone, std::memory_order_release); }

  void hear(const storage::ChangeEvent& event);
  storage::ModSeq mod_seq() const noexcept { return mod_seq_.load(std::memory_order_acquire); }

  /// Nothing of what was heard up to `heard` concerns the mailbox beyond `mod_seq`. What is heard meanwhile stays.
  void settle(storage::ModSeq heard, storage::ModSeq mod_seq) noexcept {
    mod_seq_.compare_exchange_strong(heard, mod_seq, std::memory_order_acq_rel);
  }

  /// From now on the next event wakes the connection (once). Arm, then look at mod_seq(), then wait.
  void arm() noexcept { armed_.store(true, std::memory_order_seq_cst); }
  void disarm() noexcept { armed_.store(false, std::memory_order_relaxed); }
  /// The connection is about to go; on the session's thread.
  void detach() noexcept { connection_ = nullptr; }

 private:
  static constexpr std::uint64_t kAny = ~std::uint64_t{0};
  static constexpr std::uint64_t kNone = ~std::uint64_t{0} - 1;
  std::atomic<std::uint64_t> mailbox_{kNone};
  std::atomic<storage::ModSeq> mod_seq_{0};
  std::atomic<bool> armed_{false};
  net::Loop& loop_;
  net::Connection* connection_;  ///< session's thread only
};

/// What the client has been told of the selected mailbox. One thread.
///
/// Invariant: `uids` is the client's sequence map. It changes only together with an EXISTS, EXPUNGE or VANISHED in the output, so that
/// sequence numbers mean the same on both sides (RFC 9051 §7.5.1).
struct Selected {
  storage::MailboxId id{};
  std::uint32_t uid_validity = 0;
  storage::Uid uid_next = 1;   ///< first UID that the client has not been told of
  storage::ModSeq synced = 0;  ///< what happened up to here is in uids, gone, keywords and has been told
  storage::ModSeq safe = 0;    ///< every change up to here has been told, removals too: what QRESYNC clients may go back to
  bool told_safe = false;      ///< `safe` was told, being behind the mod-sequences of FETCH responses
  bool read_only = false;
  bool stale = false;  ///< ask the store whatever the Watch says
  NumberSet uids;
  NumberSet recent;  ///< UIDs that are \Recent to this session (RFC 3501 §2.3.2), whether or not there is a message
  NumberSet gone;    ///< expunged, the client could not be told yet; still in uids
  std::vector<std::string> keywords;
  std::unique_ptr<NumberSet> saved;  ///< "$" (RFC 5182), UIDs; null: empty
  /// Mod-sequences above `synced` that this session's own commands made and has reported itself.
  std::vector<storage::ModSeq> own;

  std::uint32_t exists() const noexcept { return static_cast<std::uint32_t>(uids.count()); }
  std::uint32_t sequence_of(storage::Uid uid) const { return static_cast<std::uint32_t>(uids.rank(uid)) + 1; }
  bool is_recent(storage::Uid uid) const noexcept { return recent.contains(uid); }
  std::uint32_t recent_count() const;

  /// The UIDs that a command's set means, of those the client knows.
  /// @param uid  the numbers are UIDs (those that do not exist are ignored, RFC 9051 §6.4.9) or sequence numbers (Fault::syntax where
  ///             one is above EXISTS)
  Result<NumberSet> resolve(const SequenceSet& set, bool uid) const;
  /// The same for a key of SEARCH, where a number that no message has simply finds none.
  NumberSet resolve_key(const SequenceSet& set, bool uid) const;
  /// Sequence numbers (1 to exists()) to UIDs and back.
  NumberSet uids_of(const NumberSet& sequences) const;
  NumberSet sequences_of(const NumberSet& members) const;

  /// This session's own change has been committed as `mod_seq` and the client is told by the command itself.
  void own_change(storage::ModSeq mod_seq);
  bool is_own(storage::ModSeq mod_seq) const noexcept;
  /// The messages are gone: the client is told at the next chance.
  void expunged(const NumberSet& members);
};

/// Writes flag lists; remembers the last one, since neighbours in a mailbox mostly carry the same.
class FlagsWriter {
 public:
  explicit FlagsWriter(const std::vector<std::string>& keywords) : keywords_(keywords) {}
  /// Appends "(\Seen $Forwarded)".
  void append(std::string& out, storage::FlagBits flags, bool recent);

 private:
  const std::vector<std::string>& keywords_;
  storage::FlagBits flags_ = 0;
  bool recent_ = false;
  std::string text_ = "()";
};

/// Appends "\Answered \Flagged \Deleted \Seen \Draft kw…", without parentheses: what FLAGS and PERMANENTFLAGS list.
void append_all_flags(std::string& out, const std::vector<std::string>& keywords);
/// True while the mailbox can take one more keyword.
bool keywords_free(const std::vector<std::string>& keywords) noexcept;

}  // namespace relais::imap
