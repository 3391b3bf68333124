// Sender rewriting and its reversal.
#include "message/srs.h"

#include "base/ascii.h"
#include "base/check.h"
#include "message/address.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <optional>

namespace relais::message {
namespace {

constexpr std::string_view kBase32 = "abcdefghijklmnopqrstuvwxyz234567";  // RFC 4648 §6, in lower case
constexpr std::size_t kHashOctets = 5;                                    // 40 bits: eight characters
constexpr std::size_t kHashSize = 8;
constexpr std::int64_t kDays = 1'024;  // two characters
constexpr std::int64_t kSecondsPerDay = 86'400;

std::string base32(const unsigned char* octets, std::size_t count) {
  std::string out;
  std::uint32_t bits = 0;
  unsigned have = 0;
  for (std::size_t i = 0; i < count; ++i) {
    bits = (bits << 8U) | octets[i];
    for (have += 8; have >= 5; have -= 5) out += kBase32[(bits >> (have - 5)) & 31U];
  }
  return out;
}

std::string day_text(std::int64_t now) {
  const auto day = static_cast<std::size_t>((now / kSecondsPerDay) % kDays);
  return {kBase32[day >> 5U], kBase32[day & 31U]};
}

/// Which of the two schemes a local part is of.
enum class Form : std::uint8_t { none, srs0, srs1 };

Form form_of(std::string_view local) noexcept {
  if (local.size() < 6) return Form::none;
  // The separator behind the tag may be any of three; those after it are always "=".
  if (local[4] != '=' && local[4] != '+' && local[4] != '-') return Form::none;
  if (istarts_with(local, "SRS0")) return Form::srs0;
  return istarts_with(local, "SRS1") ? Form::srs1 : Form::none;
}

/// Takes the text up to the next "=", and that. nullopt where there is none.
std::optional<std::string_view> take(std::string_view& rest) noexcept {
  const auto at = rest.find('=');
  if (at == std::string_view::npos) return std::nullopt;
  const auto taken = rest.substr(0, at);
  rest.remove_prefix(at + 1);
  return taken;
}

/// In lower case, so that a change of case on the way breaks nothing.
std::string hash(std::string_view secret, std::string_view text) {
  const auto lower = to_lower(text);
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned size = 0;
  const auto* done = HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
                          reinterpret_cast<const unsigned char*>(lower.data()), lower.size(), out.data(), &size);
  RELAIS_CHECK(done != nullptr && size >= kHashOctets);
  return base32(out.data(), kHashOctets);
}

std::unexpected<Error> unknown() { return fail(Fault::refused, "no such mailbox", "5.1.1"); }

/// An address from its parts, checked as any other.
Result<std::string> put_together(std::string local, std::string_view domain) {
  const auto text = to_string(Address{std::move(local), std::string(domain)});
  const auto address = parse_mailbox(text, true);
  if (!address) return unknown();
  return to_string(*address);
}

/// What an SRS1 address leads to: "first.example==HH=…" is SRS0=HH=…@first.example.
Result<std::string> first_forwarder(std::string_view rest) {
  const auto host = take(rest);
  if (!host || rest.empty()) return unknown();
  return put_together("SRS0" + std::string(rest), *host);
}

}  // namespace

Srs::Srs(SrsOptions options) : options_(std::move(options)) {
  RELAIS_CHECK(!options_.secrets.empty());
  RELAIS_CHECK(options_.valid_days > 0 && options_.valid_days < kDays);
}

bool Srs::hash_fits(std::string_view given, std::string_view text) const {
  const auto lower = to_lower(given);
  if (lower.size() != kHashSize) return false;
  return std::ranges::any_of(
      options_.secrets, [&](const std::string& secret) { return CRYPTO_memcmp(hash(secret, text).data(), lower.data(), kHashSize) == 0; });
}

bool Srs::day_fits(std::string_view day, std::int64_t now) const noexcept {
  if (day.size() != 2) return false;
  const auto high = kBase32.find(ascii_lower(day[0]));
  const auto low = kBase32.find(ascii_lower(day[1]));
  if (high == std::string_view::npos || low == std::string_view::npos) return false;
  const auto then = static_cast<std::int64_t>(high * 32 + low);
  const auto age = ((now / kSecondsPerDay) % kDays - then + kDays) % kDays;
  return age <= options_.valid_days || age == kDays - 1;  // a day ahead: another machine of ours whose clock differs
}

Result<std::string> Srs::forward(std::string_view sender, std::int64_t now) const {
  if (sender.empty()) return std::string();
  RELAIS_TRY(const auto address, parse_mailbox(sender, true));
  const auto form = form_of(address.local_part);
  const auto& secret = options_.secrets.front();
  std::string local;
  if (form != Form::none && address.domain == options_.domain) return to_string(address);
  if (form == Form::srs0) {
    // What the first forwarder will check, its separator included, stays as it is.
    const auto rest = address.domain + "=" + address.local_part.substr(4);
    local = "SRS1=" + hash(secret, rest) + "=" + rest;
  } else if (form == Form::srs1) {
    // Whoever is between the first forwarder and us need not see the bounce: it goes to the first one right away.
    auto rest = std::string_view(address.local_part).substr(5);
    if (take(rest) && first_forwarder(rest)) local = "SRS1=" + hash(secret, rest) + "=" + std::string(rest);
  }
  if (local.empty()) {
    const auto rest = day_text(now) + "=" + address.domain + "=" + address.local_part;
    local = "SRS0=" + hash(secret, rest) + "=" + rest;
  }
  if (local.size() > std::min(options_.max_local_part, kMaxLocalPart))
    return fail(Fault::refused, "the sender's address is too long to be rewritten", "5.1.7");
  return to_string(Address{std::move(local), options_.domain});
}

bool Srs::is_ours(std::string_view address) const {
  const auto parsed = parse_mailbox(address, true);
  return parsed && parsed->domain == options_.domain && form_of(parsed->local_part) != Form::none;
}

Result<std::string> Srs::reverse(std::string_view text, std::int64_t now) const {
  const auto address = parse_mailbox(text, true);
  if (!address || address->domain != options_.domain) return unknown();
  const auto form = form_of(address->local_part);
  if (form == Form::none) return unknown();
  auto rest = std::string_view(address->local_part).substr(5);
  const auto given = take(rest);
  if (!given || !hash_fits(*given, rest)) return unknown();
  // From here on it is what we wrote.
  if (form == Form::srs1) return first_forwarder(rest);
  const auto day = take(rest);
  const auto domain = take(rest);
  if (!day || !domain || rest.empty()) return unknown();
  if (!day_fits(*day, now)) return fail(Fault::refused, "this address is no longer valid", "5.1.6");
  return put_together(std::string(rest), *domain);
}

}  // namespace relais::message
