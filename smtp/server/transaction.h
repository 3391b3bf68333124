// One mail transaction: what MAIL and RCPT have said so far.
#pragma once

#include "smtp/proto/mail.h"
#include "smtp/server/delivery.h"
#include "smtp/server/routing.h"

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace relais::smtp {

/// A recipient that was answered with 250.
struct AcceptedRecipient {
  std::string address;
  std::uint32_t first = 0;             ///< its accounts in Transaction::targets: [first, last), but for those …
  std::uint32_t last = 0;
  std::vector<std::uint32_t> earlier;  ///< … that recipients before it (by position) had brought in: an account gets one copy
  Notify notify{};                     ///< RFC 3461 §4.1
  OriginalRecipient original{};        ///< ORCPT
  std::uint32_t ways = 1;              ///< accounts and addresses that it leads to
};

/// Where mail for a recipient goes on to.
struct OnwardTarget {
  Onward::Why why = Onward::Why::remote;
  std::string address;
  std::string destination;
  std::string sender;           ///< reverse-path for it: the transaction's, or rewritten (SRS)
  std::uint32_t recipient = 0;  ///< position of the one that brought it in
  std::optional<directory::Account> account{};  ///< as Onward::account
  bool asked = false;           ///< the destination itself has said that it takes it
};

struct MailTransaction {
  std::string id;                      ///< trace id
  std::string sender;                  ///< reverse-path without brackets; empty: null
  Body body = Body::seven_bit;
  bool smtputf8 = false;
  std::uint64_t declared_size = 0;     ///< SIZE=, 0: none
  std::vector<AcceptedRecipient> recipients;
  std::vector<Target> targets;         ///< no account twice
  std::vector<OnwardTarget> onward;    ///< no address twice for one reason
  std::unordered_map<std::uint64_t, std::uint32_t> owner;  ///< account number → position of the recipient that brought it in
  std::unordered_set<std::string> seen;                    ///< of onward
  Ret ret = Ret::unset;
  std::string envelope_id;
  std::int64_t hold_until = 0;         ///< seconds since epoch; 0: none (RFC 4865)
  std::string hold_request;
  std::int64_t deliver_by = 0;         ///< seconds since epoch; 0: none (RFC 2852)
  bool by_return = false;
  bool by_trace = false;
  int priority = 0;                    ///< RFC 6710
  bool require_tls = false;            ///< RFC 8689
  bool counted = false;                ///< sending limits know of the message, and of …
  std::uint32_t counted_recipients = 0;

  /// Something about it that a plain delivery into mailboxes does not do: others are concerned, or times, or notices of success.
  bool needs_queue() const {
    if (!onward.empty() || hold_until != 0 || deliver_by != 0) return true;
    for (const auto& recipient : recipients) {
      if (recipient.notify.success()) return true;
    }
    return false;
  }

  /// Empty again; memory of large transactions is given back.
  void clear() {
    constexpr std::size_t kKept = 16;
    if (recipients.capacity() > kKept || owner.size() > kKept || special()) {
      *this = MailTransaction{};
      return;
    }
    recipients.clear();
    targets.clear();
    owner.clear();
    sender.clear();
    id.clear();
    body = Body::seven_bit;
    smtputf8 = false;
    declared_size = 0;
    counted = false;
    counted_recipients = 0;
  }

 private:
  /// Anything but plain mail for mailboxes: not worth keeping memory for.
  bool special() const noexcept {
    return !onward.empty() || !envelope_id.empty() || ret != Ret::unset || hold_until != 0 || deliver_by != 0 || priority != 0 || require_tls;
  }
};

}  // namespace relais::smtp
