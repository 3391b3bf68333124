// Accounts as everybody knows them: number, address, where they live, what a login gives.
#pragma once

#include "directory/name_view.h"

#include <cstdint>
#include <string>

namespace relais::directory {

/// Numbers of accounts; never reused. The same number names the account in storage.
using AccountNumber = std::uint64_t;

/// Where an account lives. Each change of it raises the epoch.
struct Placement {
  enum class Kind : std::uint8_t { shard = 0, legacy = 1, moving = 2 };
  Kind kind = Kind::shard;
  std::uint16_t shard = 0;  ///< for Kind::shard
  std::string legacy;       ///< name of the legacy platform, for legacy and moving
  std::uint64_t epoch = 1;
  friend bool operator==(const Placement&, const Placement&) = default;
};

struct Account {
  AccountNumber number = 0;
  std::string address;  ///< normalised: lower-case local part, lower-case A-label domain
  Placement placement;
  bool enabled = true;
  std::uint64_t quota_octets = 0;    ///< 0: none
  std::uint64_t quota_messages = 0;  ///< 0: none
  std::int64_t created = 0;          ///< seconds since epoch
  bool has_password = false;
};

/// A successful login.
struct Login {
  Account account;
  NameView names{};  ///< how the account's clients know its mailboxes
};

/// SCRAM-SHA-256 keys of an account (RFC 7677; RFC 5802 §3).
struct ScramKeys {
  std::uint64_t generation = 0;  ///< of the credential: login_verified() refuses once the password has been changed
  std::string salt;              ///< octets
  std::uint32_t iterations = 0;
  std::string stored_key;  ///< 32 octets
  std::string server_key;  ///< 32 octets
};

/// How an account's password came to be known here.
enum class Knowledge : std::uint8_t {
  nothing = 0,   ///< nobody can log in by what is known here; the account's legacy platform is asked, where it has one
  imported = 1,  ///< a hash that came with `account import`
  learned = 2,   ///< from a login that the legacy platform accepted
  set = 3,       ///< by an administrator, here: nobody else is ever asked
};
inline constexpr std::size_t kKnowledges = 4;

}  // namespace relais::directory
