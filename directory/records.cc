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
