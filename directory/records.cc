// Records to octets and back.
#include "directory/records.h"

#include "base/encode.h"
#include "directory/name.h"

namespace relais::directory {
namespace {

constexpr std::uint8_t kVersion = 1;         // of every record but for:
constexpr std::uint8_t kKnownCredential = 2;  // credentials that say how they came to be known; version 1 is what an administrator has set
constexpr std::uint8_t kEnabled = 1;
constexpr std::uint8_t kHasPassword = 2;
constexpr std::uint8_t kByLmtp = 1;  // of platforms
constexpr std::uint8_t kLearnPasswords = 2;
constexpr std::size_t kScramKeySize = 32;  // octets of SHA-256

std::unexpected<Error> damaged(std::string_view what) {
  return fail(Fault::corrupt, "directory damaged", "", std::string("directory: malformed record: ").append(what));
}

std::string encode_list(const std::vector<std::string>& texts) {
  std::string out;
  put_u8(out, kVersion);
  put_varint(out, texts.size());
  for (const auto& text : texts) put_string(out, text);
  return out;
}

Result<std::vector<std::string>> decode_list(std::string_view value, std::string_view what) {
  Decoder in(value);
  const auto version = in.u8();
  const auto count = in.varint();
  std::vector<std::string> texts;
  for (std::uint64_t i = 0; i < count && in.ok(); ++i) texts.emplace_back(in.string());
  if (!in.done() || version != kVersion) return damaged(what);
  return texts;
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
  const bool set = credential.knowledge == Knowledge::set;
  put_u8(out, set ? kVersion : kKnownCredential);
  if (!set) put_u8(out, static_cast<std::uint8_t>(credential.knowledge));
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
  const auto knowledge = version == kKnownCredential ? in.u8() : static_cast<std::uint8_t>(Knowledge::set);
  Credential credential;
  credential.knowledge = static_cast<Knowledge>(knowledge);
  credential.hash = in.string();
  const auto iterations = in.varint();
  credential.scram.iterations = static_cast<std::uint32_t>(iterations);
  if (iterations != 0) {
    credential.scram.salt = in.string();
    credential.scram.stored_key = in.octets(kScramKeySize);
    credential.scram.server_key = in.octets(kScramKeySize);
  }
  const bool known = (version == kVersion || version == kKnownCredential) && knowledge < kKnowledges;
  if (!in.done() || !known || iterations > UINT32_MAX) return damaged("credential");
  return credential;
}

std::string encode_targets(const std::vector<std::string>& targets) { return encode_list(targets); }
Result<std::vector<std::string>> decode_targets(std::string_view value) { return decode_list(value, "alias"); }

std::string encode_secrets(const std::vector<std::string>& secrets) { return encode_list(secrets); }

Result<std::vector<std::string>> decode_secrets(std::string_view value) {
  auto secrets = decode_list(value, "SRS secrets");
  if (secrets && secrets->empty()) return damaged("SRS secrets");
  return secrets;
}

std::string encode_route(const Route& route) {
  std::string out;
  put_u8(out, kVersion);
  put_u8(out, static_cast<std::uint8_t>(route.kind));
  put_u8(out, static_cast<std::uint8_t>(route.tls));
  put_u16(out, route.port);
  put_u64(out, static_cast<std::uint64_t>(route.created));
  put_string(out, route.host);
  put_string(out, route.user);
  put_string(out, route.password);
  return out;
}

Result<Route> decode_route(std::string_view key, std::string_view value) {
  Decoder in(value);
  const auto version = in.u8();
  const auto kind = in.u8();
  const auto tls = in.u8();
  Route route;
  route.domain = key;
  route.kind = static_cast<Route::Kind>(kind);
  route.tls = static_cast<RouteTls>(tls);
  route.port = in.u16();
  route.created = static_cast<std::int64_t>(in.u64());
  route.host = in.string();
  route.user = in.string();
  route.password = in.string();
  if (!in.done() || version != kVersion || kind > static_cast<std::uint8_t>(Route::Kind::lmtp) || tls > static_cast<std::uint8_t>(RouteTls::verify)) {
    return damaged("route");
  }
  return route;
}

std::string encode_dkim_key(const DkimKey& key) {
  std::string out;
  put_u8(out, kVersion);
  put_u8(out, static_cast<std::uint8_t>(key.algorithm));
  put_u8(out, static_cast<std::uint8_t>(key.state));
  put_u64(out, static_cast<std::uint64_t>(key.created));
  put_u64(out, static_cast<std::uint64_t>(key.changed));
  put_string(out, key.private_key);
  return out;
}

Result<DkimKey> decode_dkim_key(std::string_view key, std::string_view value) {
  Decoder in(value);
  const auto version = in.u8();
  const auto algorithm = in.u8();
  const auto state = in.u8();
  DkimKey found;
  found.algorithm = static_cast<DkimKey::Algorithm>(algorithm);
  found.state = static_cast<DkimKey::State>(state);
  found.created = static_cast<std::int64_t>(in.u64());
  found.changed = static_cast<std::int64_t>(in.u64());
  found.private_key = in.string();
  const auto nul = key.find('\0');
  const bool known = algorithm == static_cast<std::uint8_t>(DkimKey::Algorithm::rsa_sha256) || algorithm == static_cast<std::uint8_t>(DkimKey::Algorithm::ed25519_sha256);
  if (!in.done() || version != kVersion || !known || state > static_cast<std::uint8_t>(DkimKey::State::retired) || nul == std::string_view::npos) {
    return damaged("DKIM key");
  }
  found.domain = key.substr(0, nul);
  found.selector = key.substr(nul + 1);
  return found;
}

std::string encode_platform(const LegacyPlatform& platform) {
  std::string out;
  put_u8(out, kVersion);
  put_u64(out, static_cast<std::uint64_t>(platform.created));
  for (const auto* service : {&platform.imap, &platform.pop3, &platform.submission, &platform.delivery}) {
    put_string(out, service->host);
    if (!service->configured()) continue;
    put_u16(out, service->port);
    put_u8(out, static_cast<std::uint8_t>(service->tls));
    put_u8(out, service->verify ? 1 : 0);
  }
  put_u8(out, static_cast<std::uint8_t>((platform.delivery_lmtp ? kByLmtp : 0) | (platform.learn_passwords ? kLearnPasswords : 0)));
  put_u8(out, static_cast<std::uint8_t>(platform.forward));
  put_string(out, platform.ca_file);
  put_string(out, platform.user_format);
  put_u8(out, static_cast<std::uint8_t>(platform.master.way));
  put_string(out, platform.master.user);
  put_string(out, platform.master.password);
  put_string(out, platform.master.format);
  return out;
}

Result<LegacyPlatform> decode_platform(std::string_view key, std::string_view value) {
  Decoder in(value);
  const auto version = in.u8();
  LegacyPlatform platform;
  platform.name = key;
  platform.created = static_cast<std::int64_t>(in.u64());
  bool known = version == kVersion;
  for (auto* service : {&platform.imap, &platform.pop3, &platform.submission, &platform.delivery}) {
    service->host = in.string();
    if (!service->configured()) continue;
    service->port = in.u16();
    const auto tls = in.u8();
    known = known && tls <= static_cast<std::uint8_t>(LegacyService::Tls::implicit);
    service->tls = static_cast<LegacyService::Tls>(tls);
    service->verify = in.u8() != 0;
  }
  const auto flags = in.u8();
  platform.delivery_lmtp = (flags & kByLmtp) != 0;
  platform.learn_passwords = (flags & kLearnPasswords) != 0;
  const auto forward = in.u8();
  platform.forward = static_cast<ForwardAddress>(forward);
  platform.ca_file = in.string();
  platform.user_format = in.string();
  const auto way = in.u8();
  platform.master.way = static_cast<LegacyMaster::Way>(way);
  platform.master.user = in.string();
  platform.master.password = in.string();
  platform.master.format = in.string();
  known = known && forward <= static_cast<std::uint8_t>(ForwardAddress::proxy) && way <= static_cast<std::uint8_t>(LegacyMaster::Way::cyrus);
  if (!in.done() || !known) return damaged("legacy platform");
  return platform;
}

std::string encode_origin(const Origin& origin) {
  std::string out;
  put_u8(out, kVersion);
  put_string(out, origin.platform);
  put_string(out, origin.user);
  put_u8(out, static_cast<std::uint8_t>(origin.names.separator));
  put_string(out, origin.names.prefix);
  return out;
}

Result<Origin> decode_origin(std::string_view value) {
  Decoder in(value);
  const auto version = in.u8();
  Origin origin;
  origin.platform = in.string();
  origin.user = in.string();
  origin.names.separator = static_cast<char>(in.u8());
  origin.names.prefix = in.string();
  if (!in.done() || version != kVersion) return damaged("origin");
  return origin;
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
