// Canonical forms, body hashes and the choice of fields.
#include "antispam/dkim_canonical.h"

#include "antispam/dkim_tags.h"
#include "base/ascii.h"
#include "base/check.h"
#include "message/line_end.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <utility>

namespace relais::antispam {
namespace {

constexpr std::size_t kFlushAt = 16 * 1024;  // octets

// In lower case, sorted. What a reader sees, what mail programs act on, and what belongs to a mailing list (RFC 8058 §4 wants
// List-Unsubscribe-Post signed). RFC 6376 §5.4.1
constexpr std::array<std::string_view, 36> kSigned{
    "auto-submitted",
    "autocrypt",
    "cc",
    "content-description",
    "content-disposition",
    "content-id",
    "content-language",
    "content-transfer-encoding",
    "content-type",
    "date",
    "from",
    "importance",
    "in-reply-to",
    "list-archive",
    "list-help",
    "list-id",
    "list-owner",
    "list-post",
    "list-subscribe",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "message-id",
    "mime-version",
    "openpgp",
    "references",
    "reply-to",
    "require-recipient-valid-since",
    "resent-cc",
    "resent-date",
    "resent-from",
    "resent-message-id",
    "resent-sender",
    "resent-to",
    "sender",
    "subject",
    "to",
};
static_assert(std::ranges::is_sorted(kSigned));

// RFC 5322 §3.6 allows one of each. Not Sender and the list fields: lists add them and leave the rest as it is.
constexpr std::array<std::string_view, 12> kOversigned{"cc",           "content-transfer-encoding",
                                                       "content-type", "date",
                                                       "from",         "in-reply-to",
                                                       "message-id",   "mime-version",
                                                       "references",   "reply-to",
                                                       "subject",      "to"};

EVP_MD_CTX* context_of(void* context) noexcept { return static_cast<EVP_MD_CTX*>(context); }

}  // namespace

std::optional<Canonicals> parse_canonicals(std::string_view value) {
  const auto one = [](std::string_view text) -> std::optional<Canonical> {
    if (text.empty() || iequals(text, "simple")) return Canonical::simple;
    if (iequals(text, "relaxed")) return Canonical::relaxed;
    return std::nullopt;
  };
  const auto slash = value.find('/');
  const auto header = one(value.substr(0, slash));
  const auto body = slash == std::string_view::npos ? Canonical::simple : one(value.substr(slash + 1));
  if (!header || !body) return std::nullopt;
  return Canonicals{*header, *body};
}

void append_canonical_field(std::string& out, Canonical form, std::string_view raw) {
  raw = message::without_line_end(raw);
  if (form == Canonical::simple) {
    out.append(raw).append("\r\n");
    return;
  }
  const auto colon = raw.find(':');
  for (const char c : trim(raw.substr(0, colon))) out += ascii_lower(c);
  out += ':';
  bool space = false;
  bool any = false;
  for (const char c : colon == std::string_view::npos ? std::string_view{} : raw.substr(colon + 1)) {
    if (c == '\r' || c == '\n') continue;  // unfolded: the white space behind it stays
    if (ascii_wsp(c)) {
      space = true;
      continue;
    }
    if (space && any) out += ' ';
    space = false;
    any = true;
    out += c;
  }
  out += "\r\n";
}

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  RELAIS_CHECK(context_ != nullptr && EVP_DigestInit_ex(context_of(context_), EVP_sha256(), nullptr) == 1);
}
Sha256::~Sha256() { EVP_MD_CTX_free(context_of(context_)); }
Sha256::Sha256(Sha256&& other) noexcept : context_(std::exchange(other.context_, nullptr)) {}
void Sha256::update(std::string_view octets) { RELAIS_CHECK(EVP_DigestUpdate(context_of(context_), octets.data(), octets.size()) == 1); }

std::string Sha256::finish() {
  std::string out(32, '\0');
  unsigned size = 0;
  RELAIS_CHECK(EVP_DigestFinal_ex(context_of(context_), reinterpret_cast<unsigned char*>(out.data()), &size) == 1 && size == out.size());
  return out;
}

Sha256 Sha256::fork() const {
  EVP_MD_CTX* copy = EVP_MD_CTX_new();
  RELAIS_CHECK(copy != nullptr && EVP_MD_CTX_copy_ex(copy, context_of(context_)) == 1);
  return {Adopt{}, copy};
}

BodyHash::BodyHash(Canonical form, std::optional<std::uint64_t> limit) : form_(form), limit_(limit) { buffer_.reserve(kFlushAt + 256); }

void BodyHash::flush() {
  std::string_view counted = buffer_;
  const auto before = size_;
  size_ += counted.size();
  if (limit_) counted = counted.substr(0, before >= *limit_ ? 0 : std::min<std::uint64_t>(counted.size(), *limit_ - before));
  hash_.update(counted);
  buffer_.clear();
}

void BodyHash::emit(std::string_view octets) {
  buffer_.append(octets);
  if (buffer_.size() >= kFlushAt) flush();
}

/// Octets that are neither part of a line end nor (relaxed) white space: what was held back before them is not at the end.
void BodyHash::plain(std::string_view run) {
  for (; line_ends_ > 0; --line_ends_) emit("\r\n");
  if (space_) emit(" ");
  space_ = false;
  any_ = true;
  emit(run);
}

void BodyHash::update(std::string_view piece) {
  std::size_t i = 0;
  while (i < piece.size()) {
    if (cr_) {
      cr_ = false;
      if (piece[i] == '\n') {
        space_ = false;
        ++line_ends_;
        ++i;
        continue;
      }
      plain("\r");
      continue;
    }
    const auto start = i;
    const auto held = [&](char c) { return c == '\r' || (form_ == Canonical::relaxed && ascii_wsp(c)); };
    while (i < piece.size() && !held(piece[i])) ++i;
    if (i > start) plain(piece.substr(start, i - start));
    for (; i < piece.size() && form_ == Canonical::relaxed && ascii_wsp(piece[i]); ++i) space_ = true;
    if (i < piece.size() && piece[i] == '\r') {
      cr_ = true;
      ++i;
    }
  }
}

std::string BodyHash::finish() {
  if (cr_) plain("\r");
  cr_ = false;
  // §3.4.3: an empty body is one CRLF; §3.4.4: it is nothing.
  if (any_ || form_ == Canonical::simple) emit("\r\n");
  flush();
  return hash_.finish();
}

std::string body_hash(Canonical form, std::span<const std::string_view> body) {
  BodyHash hash(form);
  for (const auto piece : body) hash.update(piece);
  return hash.finish();
}

HeaderFields::HeaderFields(std::string_view header) : too_many_(header.size() > kMaxOctets) {
  message::Field field;
  for (std::size_t pos = 0; message::next_field(header, pos, field);) {
    if (field.name.empty()) continue;
    if (fields_.size() == kMaxFields) {
      too_many_ = true;
      break;
    }
    lone_line_ends_ = lone_line_ends_ || message::has_lone_line_end(field.raw);
    by_name_[to_lower(field.name)].push_back(static_cast<std::uint32_t>(fields_.size()));
    fields_.push_back(field);
  }
}

std::vector<const message::Field*> HeaderFields::select(std::span<const std::string_view> names) const {
  std::vector<const message::Field*> out;
  std::unordered_map<std::string, std::size_t> taken;
  for (const auto name : names) {
    auto lower = to_lower(name);
    const auto found = by_name_.find(lower);
    if (found == by_name_.end()) continue;
    auto& used = taken[std::move(lower)];
    if (used == found->second.size()) continue;
    out.push_back(&fields_[found->second[found->second.size() - ++used]]);
  }
  return out;
}

std::size_t HeaderFields::count(std::string_view name) const {
  const auto found = by_name_.find(to_lower(name));
  return found == by_name_.end() ? 0 : found->second.size();
}

bool is_signed_field(std::string_view name) noexcept { return name.size() <= 32 && std::ranges::binary_search(kSigned, to_lower(name)); }

std::span<const std::string_view> oversigned_fields() noexcept { return kOversigned; }

std::vector<std::string> names_to_sign(const HeaderFields& fields) {
  std::vector<std::string> names;
  for (const auto& field : fields.all()) {
    if (is_signed_field(field.name)) names.push_back(to_lower(field.name));
  }
  for (const auto name : kOversigned) names.emplace_back(name);
  return names;
}

}  // namespace relais::antispam
