// Records to octets and back.
#include "directory/records.h"

#include "base/encode.h"
#include "directory/name.h"

namespace relais::directory {
namespace {

constexpr std::uint8_t kVersion = 1;  // of every record so far
constexpr std::uint8_t kEnabled = 1;
constexpr std::uint8_t kHasPassword = 2;
constexpr std::size_t kScramKeySize = 32;  // octets of SHA-256

std::unexpected<Error> damaged(std::string_view what) {
  return fail(Fault::corrupt, "directory damaged", "", std::string("directory: malformed record: ").append(what));
}

}  // namespace

std::string encode_account(const AccountRecord& record) {
  const auto& a = record.account;
  std::string out;
  put_u8(out, kVersion);
  put_u64(out, a.number);
  put_u8(out, static_cast<std::uint8_t>((a.enabled ? kEnabled : 0) | (a.has_password ? kHasPassword : 0)));
  put_u64(out, static_cast<std::uint64_t>(a.created));
  put_varint(out, record.generation);
  put_varint(out, a.quota_octets);
  put_varint(out, a.quota_messages);
  put_u8(out, static_cast<std::uint8_t>(a.placement.kind));
  put_u16(out, a.placement.shard);
  put_varint(out, a.placement.epoch);
  put_string(out, a.placement.legacy);
  return out;
}

Result<AccountRecord> decode_account(std::string_view key, std::string_view value) {
  Decoder in(value);
  const auto version = in.u8();
  AccountRecord record;
  auto& a = record.account;
  a.number = in.u64();
  const auto flags = in.u8();
  a.enabled = (flags & kEnabled) != 0;
  a.has_password = (flags & kHasPassword) != 0;
  a.created = static_cast<std::int64_t>(in.u64());
  record.generation = in.varint();
  a.quota_octets = in.varint();
  a.quota_messages = in.varint();
  const auto kind = in.u8();
  a.placement.kind = static_cast<Placement::Kind>(kind);
  a.placement.shard = in.u16();
  a.placement.epoch = in.varint();
  a.placement.legacy = in.string();
  if (!in.done() || version != kVersion || kind > static_cast<std::uint8_t>(Placement::Kind::moving)) return damaged("account");
  a.address = name_of_key(key).text();
  return record;
}

std::string encode_domain(const DomainRecord& record) {
  std::string out;
  put_u8(out, kVersion);
  put_u64(out, static_cast<std::uint64_t>(record.created));
  return out;
}

Result<DomainRecord> decode_domain(std::string_view value) {
  Decoder in(value);
  const auto version = in.u8();
  DomainRecord record{static_cast<std::int64_t>(in.u64())};
  if (!in.done() || version != kVersion) return damaged("domain");
  return record;
}

std::string encode_credential(const Credential& credential) {
  std::string out;
  put_u8(out, kVersion);
  put_string(out, credential.hash);
  put_varint(out, credential.scram.iterations);
  if (credential.scram.iterations == 0) return out;
  put_string(out, credential.scram.salt);
  out.append(credential.scram.stored_key).append(credential.scram.server_key);
  return out;
}

Result<Credential> decode_credential(std::string_view value) {
  Decoder in(value);
  const auto version = in.u8();
  Credential credential;
  credential.hash = in.string();
  const auto iterations = in.varint();
  credential.scram.iterations = static_cast<std::uint32_t>(iterations);
  if (iterations != 0) {
    credential.scram.salt = in.string();
    credential.scram.stored_key = in.octets(kScramKeySize);
    credential.scram.server_key = in.octets(kScramKeySize);
  }
  if (!in.done() || version != kVersion || iterations > UINT32_MAX) return damaged("credential");
  return credential;
}

std::string encode_targets(const std::vector<std::string>& targets) {
  std::string out;
  put_u8(out, kVersion);
  put_varint(out, targets.size());
  for (const auto& target : targets) put_string(out, target);
  return out;
}

Result<std::vector<std::string>> decode_targets(std::string_view value) {
  Decoder in(value);
  const auto version = in.u8();
  const auto count = in.varint();
  std::vector<std::string> targets;
  for (std::uint64_t i = 0; i < count && in.ok(); ++i) targets.emplace_back(in.string());
  if (!in.done() || version != kVersion) return damaged("alias");
  return targets;
}

std::string encode_number(std::uint64_t number) {
  std::string out;
  put_u64(out, number);
  return out;
}

Result<std::uint64_t> decode_number(std::string_view value) {
  Decoder in(value);
  const auto number = in.u64();
  if (!in.done()) return damaged("number");
  return number;
}

}  // namespace relais::directory
