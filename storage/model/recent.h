// Who has seen which messages as \Recent first; kept in memory, so that SELECT writes nothing.
#pragma once

#include "storage/types.h"

#include <array>
#include <mutex>
#include <unordered_map>

namespace relais::storage::model {

/// RFC 3501 §2.3.2: \Recent belongs to the first session that is told of the message. Claims are made here and go into the mailbox record with
/// whatever is written to that mailbox next; a crash in between makes some messages recent once more, which is harmless.
///
/// Threads: any. Bounded: when a stripe is full it forgets, with the same harmless effect.
class RecentClaims {
 public:
  /// @param stored  MailboxRecord::recent_from  @return where this session's recent messages begin; later ones begin at `uid_next`
  Uid claim(AccountId account, MailboxId mailbox, Uid stored, Uid uid_next);
  /// Where recent messages begin now.
  Uid recent_from(AccountId account, MailboxId mailbox, Uid stored) const;

 private:
  struct Place {
    AccountId account{};
    MailboxId mailbox{};
    friend bool operator==(const Place&, const Place&) = default;
  };
  struct Hash {
    std::size_t operator()(const Place& place) const noexcept;
  };
  struct Stripe {
    mutable std::mutex mutex;
    std::unordered_map<Place, Uid, Hash> claimed;
  };
  static constexpr std::size_t kStripes = 32;
  static constexpr std::size_t kMaxPerStripe = 32'768;  // about 1.5 MB each at most
  std::array<Stripe, kStripes> stripes_;
};

}  // namespace relais::storage::model
