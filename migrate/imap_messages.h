// What a FETCH brings, put together: lists of messages, and whole messages. Internal to migrate's IMAP source.
#pragma once

#include "imap/client/receiver.h"
#include "migrate/source.h"

#include <string>
#include <vector>

namespace relais::migrate {

/// Ascending UID; of several for one UID the last counts (servers may tell of a message twice).
void sort_messages(std::vector<SourceMessage>& messages);

/// The set cut into sets of at most `count` numbers, ascending.
std::vector<NumberSet> in_batches(const NumberSet& set, std::uint32_t count);

/// Messages without their octets.
class MessageList final : public imap::FetchReceiver {
 public:
  Result<void> begin(const imap::FetchResult&) override { return {}; }
  net::Task<void> octets(std::string_view piece) override;
  net::Task<void> end(imap::FetchResult result) override;
  /// All that came, sorted.
  std::vector<SourceMessage> take_all();

 private:
  std::vector<SourceMessage> messages_;
};

/// Whole messages: "BODY[]" of each, handed on once. Responses without it (flags that changed meanwhile) and UIDs that were not asked for
/// are passed over. Memory: one message.
class MessageAssembler final : public imap::FetchReceiver {
 public:
  /// @param limit  octets: a larger one is unreadable  @param receiver  outlives it
  MessageAssembler(NumberSet wanted, std::uint64_t limit, MessageReceiver& receiver)
      : wanted_(std::move(wanted)), limit_(limit), receiver_(receiver) {}

  Result<void> begin(const imap::FetchResult& so_far) override;
  net::Task<void> octets(std::string_view piece) override;
  net::Task<void> end(imap::FetchResult result) override;

  const NumberSet& done() const noexcept { return done_; }
  /// The receiver has failed.
  bool failed() const noexcept { return failed_; }

 private:
  NumberSet wanted_;
  const std::uint64_t limit_;
  MessageReceiver& receiver_;
  NumberSet done_;
  std::string buffer_;
  bool keeping_ = false;  // what comes is a whole message, and not too large
  bool failed_ = false;
};

}  // namespace relais::migrate
