// Normalising addresses, so that two spellings of one mailbox meet.
#include "directory/name.h"

#include "base/ascii.h"
#include "directory/password.h"
#include "message/address.h"

#include <unicode/unorm2.h>
#include <unicode/ustring.h>

#include <vector>

namespace relais::directory {
namespace {

/// NFKC_Casefold of well-formed UTF-8; the text itself where ICU can't.
std::string casefold(std::string_view text) {
  if (is_ascii(text)) return to_lower(text);
  UErrorCode status = U_ZERO_ERROR;
  const auto* normalizer = unorm2_getNFKCCasefoldInstance(&status);
  // Local parts have 255 octets at most, so every length here is small.
  std::vector<UChar> wide(text.size());
  std::int32_t wide_size = 0;
  u_strFromUTF8(wide.data(), static_cast<std::int32_t>(wide.size()), &wide_size, text.data(), static_cast<std::int32_t>(text.size()), &status);
  if (U_FAILURE(status)) return std::string(text);
  std::vector<UChar> folded(static_cast<std::size_t>(wide_size) * 18 + 1);  // NFKC grows by 18 at most
  const auto folded_size =
      unorm2_normalize(normalizer, wide.data(), wide_size, folded.data(), static_cast<std::int32_t>(folded.size()), &status);
  if (U_FAILURE(status)) return std::string(text);
  std::string out(static_cast<std::size_t>(folded_size) * 3, '\0');
  std::int32_t out_size = 0;
  u_strToUTF8(out.data(), static_cast<std::int32_t>(out.size()), &out_size, folded.data(), folded_size, &status);
  if (U_FAILURE(status)) return std::string(text);
  out.resize(static_cast<std::size_t>(out_size));
  return out;
}

Result<Name> too_long() { return fail(Fault::syntax, "address too long", "5.1.3"); }

}  // namespace

std::string Name::text() const {
  if (local.empty()) return "@" + domain;
  return message::to_string(message::Address{local, domain});
}

std::string Name::key() const {
  std::string out;
  out.reserve(domain.size() + 1 + local.size());
  return out.append(domain).append(1, '\0').append(local);
}

Result<Name> parse_name(std::string_view text) {
  RELAIS_TRY(auto address, message::parse_mailbox(text, true));
  Name name{casefold(address.local_part), std::move(address.domain)};
  if (name.local.empty()) return fail(Fault::syntax, "empty local part", "5.1.3");
  if (name.local.size() > message::kMaxLocalPart || name.domain.size() > message::kMaxDomain) return too_long();
  return name;
}

Result<Name> parse_alias_name(std::string_view text) {
  if (!text.starts_with('@')) return parse_name(text);
  RELAIS_TRY(auto domain, message::to_ascii_domain(text.substr(1)));
  return Name{"", std::move(domain)};
}

Result<Name> parse_user(std::string_view text, std::string_view default_domain) {
  auto user = prepare_password(text);  // RFC 4616 §2, RFC 5802 §5.1: SASLprep for names too
  if (!user.contains('@') && !default_domain.empty()) user.append("@").append(default_domain);
  return parse_name(user);
}

Name name_of_key(std::string_view key) {
  const auto nul = key.find('\0');
  if (nul == std::string_view::npos) return Name{"", std::string(key)};
  return Name{std::string(key.substr(nul + 1)), std::string(key.substr(0, nul))};
}

std::string domain_prefix(std::string_view domain) {
  std::string out(domain);
  return out.append(1, '\0');
}

}  // namespace relais::directory
