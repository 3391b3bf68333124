// Finds, unfolds and selects header fields.
#include "message/header.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/ascii.h"

namespace relais::message {
namespace {

// RFC 5322 §2.2: a field name is made of printable US-ASCII except the colon.
constexpr bool name_char(char c) noexcept { return c > 32 && c < 127 && c != ':'; }

// What clients ask for in message lists. DKIM-Signature, Received and Authentication-Results stay out: they are half of a typical header.
constexpr std::string_view kCachedFields[] = {
    "auto-submitted",
    "autocrypt-draft-state",
    "bcc",
    "cc",
    "chat-version",
    "content-class",
    "content-description",
    "content-disposition",
    "content-id",
    "content-language",
    "content-location",
    "content-transfer-encoding",
    "content-type",
    "date",
    "delivered-to",
    "disposition-notification-to",
    "followup-to",
    "from",
    "importance",
    "in-reply-to",
    "lines",
    "list-archive",
    "list-help",
    "list-id",
    "list-owner",
    "list-post",
    "list-subscribe",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "mail-followup-to",
    "mail-reply-to",
    "message-id",
    "mime-version",
    "newsgroups",
    "organization",
    "precedence",
    "priority",
    "references",
    "reply-to",
    "resent-date",
    "resent-from",
    "resent-to",
    "return-path",
    "return-receipt-to",
    "sender",
    "status",
    "subject",
    "thread-index",
    "thread-topic",
    "to",
    "user-agent",
    "x-draft-info",
    "x-forefront-antispam-report",
    "x-k9mail-identity",
    "x-label",
    "x-mailer",
    "x-mozilla-draft-info",
    "x-mozilla-keys",
    "x-mozilla-status",
    "x-mozilla-status2",
    "x-ms-exchange-organization-scl",
    "x-ms-has-attach",
    "x-msmail-priority",
    "x-offlineimap",
    "x-original-to",
    "x-priority",
    "x-ref",
    "x-sent-mailbox-uid",
    "x-spam-flag",
    "x-spam-level",
    "x-spam-score",
    "x-spam-status",
    "x-tuid",
    "x-uniform-type-identifier",
    "x-universally-unique-identifier",
};

constexpr std::size_t kTableSize = 256;
constexpr std::uint8_t kFree = 0xff;
static_assert(std::size(kCachedFields) < kTableSize / 2 && std::size(kCachedFields) < kFree);

constexpr std::size_t hash_name(std::string_view name) noexcept {
  const auto at = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(name[i]) | 0x20U); };
  return (name.size() * 7 + at(0) * 31 + at(name.size() / 2) * 5 + at(name.size() - 1) * 131) % kTableSize;
}

// Open addressing, filled at compile time.
constexpr auto kTable = [] {
  std::array<std::uint8_t, kTableSize> table{};
  table.fill(kFree);
  for (std::size_t i = 0; i < std::size(kCachedFields); ++i) {
    std::size_t slot = hash_name(kCachedFields[i]);
    while (table[slot] != kFree) slot = (slot + 1) % kTableSize;
    table[slot] = static_cast<std::uint8_t>(i);
  }
  return table;
}();

constexpr std::uint64_t length_bit(std::size_t length) noexcept { return std::uint64_t{1} << std::min<std::size_t>(length, 63); }
constexpr std::uint32_t first_bit(char c) noexcept {
  return std::uint32_t{1} << (ascii_alpha(c) ? static_cast<unsigned>(ascii_lower(c) - 'a') : 31U);
}

// By length, then by lower-case octets: an order that most comparisons settle with the first criterion.
int compare_names(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const char x = ascii_lower(a[i]);
    const char y = ascii_lower(b[i]);
    if (x != y) return x < y ? -1 : 1;
  }
  return 0;
}

constexpr bool dropped_by_unfold(char c) noexcept { return c == '\r' || c == '\n' || c == '\0'; }

}  // namespace

bool next_field(std::string_view header, std::size_t& pos, Field& field) noexcept {
  if (pos >= header.size()) return false;
  const char* const begin = header.data() + pos;
  const char* const end = header.data() + header.size();
  if (*begin == '\n' || (*begin == '\r' && begin + 1 < end && begin[1] == '\n')) return false;

  const char* next = begin;  // behind the field
  const char* text_end = nullptr;
  do {
    const auto* lf = static_cast<const char*>(std::memchr(next, '\n', static_cast<std::size_t>(end - next)));
    text_end = lf ? (lf > begin && lf[-1] == '\r' ? lf - 1 : lf) : end;
    next = lf ? lf + 1 : end;
  } while (next < end && ascii_wsp(*next));

  const char* name_end = begin;
  while (name_end < text_end && name_char(*name_end)) ++name_end;
  const char* colon = name_end;
  while (colon < text_end && ascii_wsp(*colon)) ++colon;
  const bool named = name_end > begin && colon < text_end && *colon == ':';
  const char* const value = named ? colon + 1 : begin;

  field.name = named ? std::string_view(begin, name_end) : std::string_view{};
  field.raw = {begin, next};
  field.value = {value, text_end};
  field.offset = static_cast<std::uint32_t>(pos);
  pos += field.raw.size();
  return true;
}

std::optional<std::string> find_field(std::string_view header, std::string_view name) {
  std::optional<std::string> found;
  for_each_field(header, [&](const Field& field) {
    if (!iequals(field.name, name)) return true;
    found = unfold(field.value);
    return false;
  });
  return found;
}

std::size_t header_end(std::string_view message) noexcept {
  std::size_t line = 0;
  while (line < message.size()) {
    if (message[line] == '\n') return line + 1;
    if (message[line] == '\r' && line + 1 < message.size() && message[line + 1] == '\n') return line + 2;
    const auto lf = message.find('\n', line);
    if (lf == std::string_view::npos) break;
    line = lf + 1;
  }
  return message.size();
}

void append_unfolded(std::string& out, std::string_view value) {
  value = trim(value);
  while (!value.empty()) {
    std::size_t n = 0;
    while (n < value.size() && !dropped_by_unfold(value[n])) ++n;
    out.append(value.substr(0, n));
    while (n < value.size() && dropped_by_unfold(value[n])) ++n;
    value.remove_prefix(n);
  }
}

std::string unfold(std::string_view value) {
  std::string out;
  out.reserve(value.size());
  append_unfolded(out, value);
  return out;
}

bool is_cached_field(std::string_view name) noexcept {
  if (name.empty()) return false;
  for (std::size_t slot = hash_name(name); kTable[slot] != kFree; slot = (slot + 1) % kTableSize) {
    if (iequals(kCachedFields[kTable[slot]], name)) return true;
  }
  return false;
}

FieldSelector::FieldSelector(std::span<const std::string> names, bool exclude) : exclude_(exclude), cached_(!exclude) {
  names_.reserve(names.size());
  for (const auto& name : names) {
    if (name.empty()) continue;
    names_.push_back(to_lower(name));
    lengths_ |= length_bit(name.size());
    first_ |= first_bit(name.front());
    cached_ = cached_ && is_cached_field(name);
  }
  std::ranges::sort(names_, [](const auto& a, const auto& b) { return compare_names(a, b) < 0; });
}

bool FieldSelector::matches(std::string_view name) const noexcept {
  if (name.empty() || (lengths_ & length_bit(name.size())) == 0 || (first_ & first_bit(name.front())) == 0) return false;
  const auto it = std::ranges::lower_bound(names_, name, [](std::string_view a, std::string_view b) { return compare_names(a, b) < 0; });
  return it != names_.end() && compare_names(*it, name) == 0;
}

void FieldSelector::append(std::string& out, std::string_view header) const {
  Field field;
  for (std::size_t pos = 0; next_field(header, pos, field);) {
    if (matches(field.name) == exclude_) continue;
    out.append(field.raw);
    if (field.raw.back() != '\n') out.append("\r\n");
  }
  out.append("\r\n");
}

std::string select_fields(std::string_view header, std::span<const std::string> names, bool exclude) {
  std::string out;
  FieldSelector(names, exclude).append(out, header);
  return out;
}

}  // namespace relais::message
