// Logins of accounts whose password only their legacy platform knows: asked there, and learned.
#pragma once

#include "base/clock.h"
#include "directory/authenticator.h"
#include "directory/moves.h"
#include "directory/placement_gate.h"
#include "directory/verified_cache.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

namespace relais::directory {

/// How often passwords that a platform refuses are passed on to it: a guesser must not reach it through us. What it accepts does not count,
/// nor does its being away. Questions that are under way count until they are answered: many at once do not pass the limit.
///
/// Threads: any. Memory: about 100 octets per account and address that was refused within the window or is being asked for; where there are
/// too many, nobody is asked who was not remembered.
class AskLimits {
 public:
  static constexpr std::uint32_t kRefusals = 10;  ///< of one account from one address within …
  static constexpr auto kWindow = std::chrono::hours(1);
  explicit AskLimits(std::size_t max_remembered = 100'000, const Clock& clock = system_clock()) : max_(max_remembered), clock_(clock) {}

 private:
  using Key = std::tuple<AccountNumber, bool, std::uint64_t>;  // account, IPv6, address or its /64

 public:
  /// What a platform has said.
  enum class Answer : std::uint8_t {
    refused,
    unclear,  ///< may have been a refusal: counts, but whoever is past the limit by such alone is not told that the password is wrong
    other,    ///< accepted, or nothing about the password: does not count
  };
  /// A question that is under way. It counts as refused where it ends without an answer. Lifetime: shorter than that of the limits.
  class Question {
   public:
    Question(Question&& other) noexcept : limits_(std::exchange(other.limits_, nullptr)), key_(other.key_) {}
    Question& operator=(Question&&) = delete;
    ~Question() { answered(Answer::refused); }
    /// Once; what comes later changes nothing.
    void answered(Answer answer) noexcept;

   private:
    friend class AskLimits;
    Question(AskLimits& limits, const Key& key) : limits_(&limits), key_(key) {}
    AskLimits* limits_;
    Key key_;
  };
  /// To be called before a platform is asked.
  /// @param address  numeric; an IPv6 address counts with its /64
  /// Errors: Fault::refused "AUTHENTICATIONFAILED" past the limit; Fault::temporary "UNAVAILABLE" where what is under way may yet reach
  ///   it, or where no answer that counts was a clear no.
  Result<Question> ask(AccountNumber account, std::string_view address);

 private:
  struct Entry {
    std::chrono::steady_clock::time_point began;
    std::uint32_t counted = 0;  // refused or unclear, since `began`
    std::uint32_t refused = 0;  // of them
    std::uint32_t under_way = 0;
  };
  static Key key_of(AccountNumber account, std::string_view address);
  void forget_old();
  void end(const Key& key, Answer answer) noexcept;

  const std::size_t max_;
  const Clock& clock_;
  std::mutex mutex_;
  std::map<Key, Entry> entries_;  // guarded by mutex_
};

/// What logins share. The references outlive every session.
struct LegacyLoginParts {
  Directory& directory;
  Moves& moves;
  PlacementGate& gate;
  LegacyCheck& check;
  AskLimits& limits;
  VerifiedCache& accepted;  ///< what platforms have accepted lately: not asked again
  /// How long a login waits for an account that is being moved: the freeze limit.
  std::chrono::milliseconds patience{10'000};
};

/// Stands before the directory for one session. By the placement of the account:
///   shard   the directory decides; where it says no, or knows no password, and none was set here, the platform that the account came from
///           is asked, and what it accepts is learned
///   legacy  the platform is asked, whatever is known here; for sessions that do not open one there themselves
///   moving  waits until that is settled
/// Everybody else is the directory's to judge; SCRAM too, whose proofs cannot be passed on.
///
/// Errors: as Authenticator. Fault::temporary where the placement or the platform's answer cannot be had: never a wrong password.
/// Threads: the session's loop.
class LegacyLogin final : public Authenticator {
 public:
  /// @param client_address  numeric
  LegacyLogin(const LegacyLoginParts& parts, std::string client_address) : parts_(parts), client_address_(std::move(client_address)) {}

  net::Task<Login> authenticate(std::string user, std::string password) override;
  net::Task<ScramKeys> scram_keys(std::string user) override { return parts_.directory.scram_keys(std::move(user)); }
  net::Task<Login> login_verified(std::string user, std::uint64_t generation) override {
    return parts_.directory.login_verified(std::move(user), generation);
  }

 private:
  net::Task<Login> ask(Located account, std::string password);

  const LegacyLoginParts parts_;
  const std::string client_address_;
};

}  // namespace relais::directory
