// The directory's records and keys: one encoder and decoder pair each. docs/directory.md has the rows and worked examples.
#pragma once

#include "directory/directory.h"
#include "directory/legacy.h"
#include "directory/password.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace relais::directory {

/// Keys of the table `meta`.
inline constexpr std::string_view kMetaFormat = "format";              ///< u8, kFormat
inline constexpr std::string_view kMetaNextAccount = "next_account";   ///< u64
inline constexpr std::string_view kMetaSecret = "secret";              ///< 32 octets, random
inline constexpr std::string_view kMetaWithoutScram = "without_scram"; ///< u64: accounts that can log in and have no SCRAM keys

inline constexpr std::string_view kMetaSrsSecrets = "srs_secrets";     ///< record: the one that signs first

inline constexpr std::uint8_t kFormat = 1;  ///< of the whole environment; a higher one is a newer release's

/// Table `accounts`.
struct AccountRecord {
  Account account;                ///< the address is the key's, not the record's
  std::uint64_t generation = 1;   ///< of the credential; raised by each new password
};

/// Table `domains`.
struct DomainRecord {
  std::int64_t created = 0;       ///< seconds since epoch
};

// Decoders: Fault::corrupt for a record that is not of a known version or does not end where it should.
std::string encode_account(const AccountRecord& record);
Result<AccountRecord> decode_account(std::string_view key, std::string_view value);
std::string encode_domain(const DomainRecord& record);
Result<DomainRecord> decode_domain(std::string_view value);
std::string encode_credential(const Credential& credential);
Result<Credential> decode_credential(std::string_view value);
std::string encode_targets(const std::vector<std::string>& targets);
Result<std::vector<std::string>> decode_targets(std::string_view value);
std::string encode_route(const Route& route);
Result<Route> decode_route(std::string_view key, std::string_view value);
std::string encode_dkim_key(const DkimKey& key);
Result<DkimKey> decode_dkim_key(std::string_view key, std::string_view value);
std::string encode_platform(const LegacyPlatform& platform);
Result<LegacyPlatform> decode_platform(std::string_view key, std::string_view value);
std::string encode_origin(const Origin& origin);
Result<Origin> decode_origin(std::string_view value);
std::string encode_secrets(const std::vector<std::string>& secrets);
Result<std::vector<std::string>> decode_secrets(std::string_view value);
std::string encode_number(std::uint64_t number);
Result<std::uint64_t> decode_number(std::string_view value);

}  // namespace relais::directory
