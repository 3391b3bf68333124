// One mail transaction: what MAIL and RCPT have said so far.
#pragma once

#include "smtp/proto/mail.h"
#include "smtp/server/delivery.h"

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace relais::smtp {

/// A recipient that was answered with 250.
struct AcceptedRecipient {
  std::string address;
  std::uint32_t first = 0;             ///< its accounts in Transaction::targets: [first, last), but for those …
  std::uint32_t last = 0;
  std::vector<std::uint32_t> earlier;  ///< … that recipients before it (by position) had brought in: an account gets one copy
};

struct Transaction {
  std::string id;                      ///< trace id
  std::string sender;                  ///< reverse-path without brackets; empty: null
  Body body = Body::seven_bit;
  bool smtputf8 = false;
  std::uint64_t declared_size = 0;     ///< SIZE=, 0: none
  std::vector<AcceptedRecipient> recipients;
  std::vector<Target> targets;         ///< no account twice
  std::unordered_map<std::uint64_t, std::uint32_t> owner;  ///< account number → position of the recipient that brought it in

  /// Empty again; memory of large transactions is given back.
  void clear() {
    constexpr std::size_t kKept = 16;
    if (recipients.capacity() > kKept || owner.size() > kKept) {
      *this = Transaction{};
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
  }
};

}  // namespace relais::smtp
