// RET, ENVID, NOTIFY, ORCPT.
#include "smtp/proto/dsn.h"

#include "base/ascii.h"
#include "smtp/proto/path.h"

#include <algorithm>
#include <array>
#include <utility>

namespace relais::smtp {
namespace {

constexpr std::string_view kUtf8Type = "utf-8";

// RFC 3461 §4.2, §4.4: before xtext, graphic characters and white space of US-ASCII.
bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c == '\t' || (c >= ' ' && c <= '~'); });
}

// addr-type = atom                                           RFC 3461 §4.2
bool is_atom(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~' && !std::string_view("()<>@,;:\\\".[]=").contains(c); });
}

void append_utf8(std::string& out, std::uint32_t point) {
  const auto put = [&](std::uint32_t octet) { out.push_back(static_cast<char>(static_cast<unsigned char>(octet))); };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xC0U | point >> 6U);
    put(0x80U | (point & 0x3FU));
  } else if (point < 0x10000) {
    put(0xE0U | point >> 12U);
    put(0x80U | (point >> 6U & 0x3FU));
    put(0x80U | (point & 0x3FU));
  } else {
    put(0xF0U | point >> 18U);
    put(0x80U | (point >> 12U & 0x3FU));
    put(0x80U | (point >> 6U & 0x3FU));
    put(0x80U | (point & 0x3FU));
  }
}

// HEXPOINT: 2 to 6 upper-case hexadecimal digits             RFC 6533 §3
std::optional<std::uint32_t> hex_point(std::string_view digits) {
  if (digits.size() < 2 || digits.size() > 6) return std::nullopt;
  std::uint32_t point = 0;
  for (const char c : digits) {
    const bool letter = c >= 'A' && c <= 'F';
    if (!ascii_digit(c) && !letter) return std::nullopt;
    point = point * 16 + static_cast<std::uint32_t>(letter ? c - 'A' + 10 : c - '0');
  }
  return point;
}

// utf-8-enc-addr: UTF-8 with \x{HEXPOINT} for what ORCPT may not hold. Plain xtext within is read too, since some write that.
std::optional<std::string> decode_unitext(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\') {
      const auto close = text.find('}', i);
      if (!text.substr(i).starts_with("\\x{") || close == std::string_view::npos) return std::nullopt;
      const auto point = hex_point(text.substr(i + 3, close - i - 3));
      if (!point) return std::nullopt;
      append_utf8(out, *point);
      i = close;
    } else if (c == '+') {
      const auto octet = decode_xtext(text.substr(i, 3));
      if (!octet || octet->size() != 1) return std::nullopt;
      out += *octet;
      i += 2;
    } else if (c <= ' ' && c >= 0) {
      return std::nullopt;
    } else if (c == '=' || c == 127) {
      return std::nullopt;
    } else {
      out.push_back(c);
    }
  }
  // Surrogates and points beyond Unicode fail here.
  if (!is_utf8(out) || std::ranges::any_of(out, [](char c) { return (c >= 0 && c < ' ' && c != '\t') || c == 127; })) return std::nullopt;
  return out;
}

// The code point that starts at `at`; the text is UTF-8.
std::uint32_t point_at(std::string_view text, std::size_t& at) {
  const auto lead = static_cast<unsigned char>(text[at++]);
  const int more = lead < 0x80 ? 0 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
  std::uint32_t point = more == 0 ? lead : lead & (0x3FU >> static_cast<unsigned>(more));
  for (int i = 0; i < more; ++i) point = point << 6U | (static_cast<unsigned char>(text[at++]) & 0x3FU);
  return point;
}

// utf-8-addr-xtext: the 7-bit form, which may go to any server.  RFC 6533 §3
void append_unitext(std::string& out, std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto point = point_at(text, at);
    if (point > ' ' && point < 127 && point != '\\' && point != '+' && point != '=') {
      out.push_back(static_cast<char>(point));
      continue;
    }
    std::array<char, 8> digits{};
    std::size_t count = 0;
    for (auto rest = point; rest != 0 || count < 2; rest >>= 4U) digits[count++] = "0123456789ABCDEF"[rest & 15U];
    out += "\\x{";
    while (count > 0) out.push_back(digits[--count]);
    out.push_back('}');
  }
}

constexpr std::pair<std::string_view, std::uint8_t> kNotify[] = {
    {"NEVER", Notify::kNever}, {"SUCCESS", Notify::kSuccess}, {"FAILURE", Notify::kFailure}, {"DELAY", Notify::kDelay}};

}  // namespace

std::optional<Ret> parse_ret(std::string_view value) {
  if (iequals(value, "FULL")) return Ret::full;
  if (iequals(value, "HDRS")) return Ret::headers;
  return std::nullopt;
}

// notify-esmtp-value = "NEVER" / 1#notify-list-element       RFC 3461 §4.1; "#" allows empty elements (RFC 822 §2.7)
std::optional<Notify> parse_notify(std::string_view value) {
  Notify notify;
  for (const auto word : split(value, ',')) {
    if (word.empty()) continue;
    const auto* const row = std::ranges::find_if(kNotify, [&](const auto& known) { return iequals(known.first, word); });
    if (row == std::end(kNotify)) return std::nullopt;
    notify.bits |= row->second;
  }
  if (!notify.given() || (notify.never() && notify.bits != Notify::kNever)) return std::nullopt;
  return notify;
}

// envid-parameter = "ENVID=" xtext                           RFC 3461 §4.4
std::optional<std::string> parse_envelope_id(std::string_view value) {
  if (value.size() > kMaxEnvelopeId) return std::nullopt;
  auto id = decode_xtext(value);
  if (!id || id->empty() || !is_printable(*id)) return std::nullopt;
  return id;
}

// original-recipient-address = addr-type ";" xtext           RFC 3461 §4.2; utf-8-type-addr: RFC 6533 §3
std::optional<OriginalRecipient> parse_original_recipient(std::string_view value) {
  const auto semicolon = value.find(';');
  if (value.size() > kMaxOriginalRecipient || semicolon == std::string_view::npos || !is_atom(value.substr(0, semicolon)))
    return std::nullopt;
  OriginalRecipient original{to_lower(value.substr(0, semicolon)), {}};
  const auto encoded = value.substr(semicolon + 1);
  auto address = original.type == kUtf8Type ? decode_unitext(encoded) : decode_xtext(encoded);
  if (!address || address->empty()) return std::nullopt;
  if (original.type != kUtf8Type && !is_printable(*address)) return std::nullopt;
  original.address = std::move(*address);
  return original;
}

std::string to_string(Notify notify) {
  std::string out;
  for (const auto& [word, bit] : kNotify) {
    if ((notify.bits & bit) == 0) continue;
    if (!out.empty()) out += ',';
    out += word;
  }
  return out;
}

std::string_view to_string(Ret ret) noexcept {
  switch (ret) {
    case Ret::full: return "FULL";
    case Ret::headers: return "HDRS";
    case Ret::unset: break;
  }
  return {};
}

std::string to_string(const OriginalRecipient& recipient) {
  auto out = recipient.type + ";";
  if (recipient.type == kUtf8Type && is_utf8(recipient.address)) {
    append_unitext(out, recipient.address);
  } else {
    out += encode_xtext(recipient.address);
  }
  return out;
}

}  // namespace relais::smtp
