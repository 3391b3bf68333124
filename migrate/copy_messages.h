// Messages from a source's mailbox into the target's: read in batches, the next one while the one before is committed. Internal to the
// mirror.
#pragma once

#include "migrate/beside.h"
#include "migrate/mirror_state.h"

#include <array>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace relais::migrate {

/// SHA-256.
std::array<unsigned char, 32> digest_of(std::string_view octets);

/// A set of UIDs cut into what is asked for at once: so many messages, and no more octets than that as far as sizes are known (but always
/// one message). @param about  ascending UID
std::vector<NumberSet> cut_requests(const NumberSet& uids, std::span<const SourceMessage> about, std::uint32_t messages,
                                    std::uint64_t octets);

/// Which keywords a mailbox of the target can take: those that it has, and as many more as there is room for. What does not fit is dropped.
class KeywordRoom {
 public:
  KeywordRoom(const TargetMailbox& mailbox, std::size_t limit);
  /// Drops what does not fit from the message's keywords, and writes the others as the mailbox knows them. @return what was dropped
  std::vector<std::string> fit(std::vector<std::string>& keywords);

 private:
  std::map<std::string, std::string> known_;  // by lower case: keywords do not differ in it (RFC 9051 §2.3.2)
  std::size_t limit_;
};

/// Takes what a mailbox's messages bring. One for a mailbox and a pass. Not moved.
class MessageCopier final : public MessageReceiver {
 public:
  /// @param executor  this coroutine's. All arguments outlive it
  MessageCopier(MirrorState& state, const MailboxPair& pair, KeywordRoom& room, net::asio::any_io_executor executor)
      : state_(state), pair_(pair), room_(room), beside_(std::move(executor)) {}

  /// Reads and appends all of them that are there. @param about  what is known of them, ascending UID
  /// Errors: of the source, of the target and events (failed_here() tells which); Fault::refused where the source does not keep to
  /// ascending UIDs, and one came that is below what was appended already (out_of_order()): to be repeated, one message at a time, into a
  /// mailbox that was made anew.
  net::Task<void> copy(Source& source, NumberSet uids, std::span<const SourceMessage> about, bool one_by_one);

  net::Task<void> take(Message message) override;
  net::Task<void> unreadable(Uid uid, Error why) override;

  /// The error of copy() is no error of the source.
  bool failed_here() const noexcept { return failed_here_; }
  /// By an event.
  bool ended() const noexcept { return ended_; }
  bool out_of_order() const noexcept { return out_of_order_; }
  /// The highest UID that was given to the target; 0: none.
  Uid handed_over() const noexcept { return handed_over_; }

 private:
  struct Held {
    SourceMessage about;
    std::string octets;
  };
  struct Batch {
    std::vector<Held> messages;
    std::uint64_t octets = 0;
  };

  net::Task<void> read(Source& source, const std::vector<NumberSet>& requests);
  net::Task<void> hand_over();
  net::Task<void> commit(Batch batch);
  net::Task<void> read_back(const Batch& batch, const NumberSet& uids);
  void check(Held& held);

  MirrorState& state_;
  const MailboxPair& pair_;
  KeywordRoom& room_;
  Beside beside_;
  Batch reading_;
  Uid handed_over_ = 0;
  bool failed_here_ = false;
  bool ended_ = false;
  bool out_of_order_ = false;
};

/// Tells of flags that cannot be carried, once for a mailbox. Drops keywords for which there is no room.
void fit_flags(MirrorState& state, std::string_view mailbox, KeywordRoom& room, SourceMessage& message);

}  // namespace relais::migrate
