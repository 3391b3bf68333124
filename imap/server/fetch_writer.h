// Writes FETCH responses.
#pragma once

#include "imap/server/fetch_plan.h"
#include "imap/server/session.h"

#include <string>
#include <vector>

namespace relais::imap {

/// Sequence numbers of ascending UIDs of the selected mailbox, at the cost of a step each.
class Sequencer {
 public:
  explicit Sequencer(const NumberSet& uids) : ranges_(uids.ranges()) {}
  /// @param uid  a member, not smaller than the one asked before
  std::uint32_t of(storage::Uid uid) noexcept {
    while (at_ < ranges_.size() && ranges_[at_].last < uid) {
      before_ += ranges_[at_].last - ranges_[at_].first + 1;
      ++at_;
    }
    return at_ < ranges_.size() ? before_ + (uid - ranges_[at_].first) + 1 : before_;
  }

 private:
  std::span<const NumberRange> ranges_;
  std::size_t at_ = 0;
  std::uint32_t before_ = 0;
};

/// Writes the responses of one FETCH into the session's output. Lives as long as the command; the session's mailbox stays selected.
class FetchWriter {
 public:
  FetchWriter(Session& session, const FetchPlan& plan);

  /// True where all that the plan asks of the message is in the view and makes no giant of a response: write() does it then, without
  /// waiting.
  bool complete(const storage::MessageView& view) const noexcept;
  /// @param seen_now  \Seen was set by this FETCH: FLAGS are told even if not asked for (RFC 9051 §6.4.5)
  void write(const storage::MessageView& view, bool seen_now);
  /// The same for any message: reads what is missing, in pieces that go out as they come.
  /// A message that is gone meanwhile is left out. Where a part of its response is out already: Fault::closed, since the client can't be
  /// brought back into step.
  net::Task<void> stream(const storage::MessageView& view, bool seen_now);

  /// A BINARY item met a transfer encoding that can't be decoded (RFC 3516 §4.3).
  bool unknown_encoding() const noexcept { return unknown_encoding_; }
  /// Messages that were gone when their octets were wanted.
  std::uint64_t left_out() const noexcept { return left_out_; }

 private:
  void begin(const storage::MessageView& view, bool seen_now);
  void write_item(const PlannedItem& planned, const storage::MessageView& view);
  void write_section(const PlannedItem& planned, const storage::MessageView& view);
  void write_binary(const PlannedItem& planned, const storage::MessageView& view);
  net::Task<void> stream_item(const PlannedItem& planned, const storage::MessageView& view);
  net::Task<void> stream_binary(const PlannedItem& planned, const storage::MessageView& view, message::OctetRange range);
  net::Task<void> stream_range(const storage::MessageView& view, message::OctetRange range);
  net::Task<void> send_over();
  void write_literal(std::string_view octets, const FetchItem& item, bool binary);
  void write_decoded(const PlannedItem& planned, message::Encoding encoding, std::string_view octets);
  static bool at_hand(const PlannedItem& planned, const storage::MessageView& view) noexcept;
  /// Where the item's octets lie; nullopt where the message has no such part.
  std::optional<message::OctetRange> locate(const PlannedItem& planned, const storage::MessageView& view);
  const message::Structure* structure(const storage::MessageView& view);

  Session& session_;
  const FetchPlan& plan_;
  std::string& out_;
  FlagsWriter flags_;
  Sequencer sequencer_;
  std::string scratch_;
  std::size_t sections_ = 0;      ///< items of the plan that are octets of the message
  message::Structure structure_;  ///< of structure_uid_
  storage::Uid structure_uid_ = 0;
  bool unknown_encoding_ = false;
  bool sent_ = false;  ///< a part of the present response has left
  std::uint64_t left_out_ = 0;
};

}  // namespace relais::imap
