// Mailbox names between the view of a legacy platform and our own.
#include "directory/name_view.h"

#include "base/ascii.h"

#include <unicode/unorm2.h>
#include <unicode/ustring.h>

#include <algorithm>
#include <array>
#include <vector>

namespace relais::directory {
namespace {

constexpr std::string_view kInbox = "INBOX";
constexpr std::string_view kHex = "0123456789ABCDEF";

std::unexpected<Error> cannot(std::string_view why) { return fail(Fault::refused, why, "CANNOT"); }

bool printable(char c) noexcept { return c >= 0x20 && c < 0x7f; }

void escape(std::string& out, char c) {
  const auto octet = static_cast<unsigned char>(c);
  out.push_back('%');
  out.push_back(kHex[octet >> 4U]);
  out.push_back(kHex[octet & 15U]);
}

// As the storage asks of names: well-formed UTF-8 in NFC without C0, DEL, C1, U+2028, U+2029 (RFC 9051 §5.1, RFC 5198 §2).
bool storable(std::string_view level) {
  if (std::ranges::all_of(level, printable)) return true;
  if (!is_utf8(level)) return false;
  std::vector<UChar> wide(level.size());
  std::int32_t size = 0;
  UErrorCode status = U_ZERO_ERROR;
  u_strFromUTF8(wide.data(), static_cast<std::int32_t>(wide.size()), &size, level.data(), static_cast<std::int32_t>(level.size()), &status);
  const auto control = [](UChar c) { return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029; };
  if (U_FAILURE(status) || std::any_of(wide.begin(), wide.begin() + size, control)) return false;
  const auto* nfc = unorm2_getNFCInstance(&status);
  return unorm2_isNormalized(nfc, wide.data(), size, &status) != 0 && U_SUCCESS(status);
}

void append_level(std::string& out, std::string_view level, bool is_inbox_elsewhere) {
  const bool plain = storable(level);
  if (is_inbox_elsewhere) {
    escape(out, level.front());
    level.remove_prefix(1);
  }
  for (const char c : level) {
    if (c == '/' || c == '%' || (!plain && !printable(c)))
      escape(out, c);
    else
      out.push_back(c);
  }
}

int hex_digit(char c) noexcept {
  const auto at = kHex.find(c);
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

}  // namespace

Result<std::string> NameView::to_storage(std::string_view wire) const {
  if (is_ours()) return std::string(wire);
  if (iequals(wire, kInbox)) return std::string(kInbox);
  auto rest = wire;
  if (!prefix.empty()) {
    // The INBOX of "INBOX." is in no case of its own (RFC 9051 §5.1); other prefixes are names like any other.
    const bool of_inbox = istarts_with(prefix, kInbox) && prefix.size() == kInbox.size() + 1;
    if (of_inbox ? !istarts_with(wire, prefix) : !wire.starts_with(prefix)) return cannot("mailbox name lies outside of this namespace");
    rest.remove_prefix(prefix.size());
  }
  std::string out;
  out.reserve(rest.size());
  bool first = true;
  while (true) {
    const auto end = separator == '\0' ? std::string_view::npos : rest.find(separator);
    const auto level = rest.substr(0, end);
    if (level.empty()) return cannot("mailbox name has an empty level");
    const bool inbox = first && iequals(level, kInbox);
    // "INBOX.Sent" without a prefix is below INBOX; with one it is below a mailbox that merely has that name.
    if (inbox && prefix.empty())
      out.append(kInbox);
    else
      append_level(out, level, inbox);
    if (end == std::string_view::npos) return out;
    out.push_back('/');
    rest.remove_prefix(end + 1);
    first = false;
  }
}

std::string NameView::to_wire(std::string_view storage) const {
  if (is_ours() || storage == kInbox) return std::string(storage);
  std::string out = prefix;
  out.reserve(prefix.size() + storage.size());
  for (std::size_t i = 0; i < storage.size(); ++i) {
    const char c = storage[i];
    const int high = c == '%' && i + 2 < storage.size() ? hex_digit(storage[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit(storage[i + 2]) : -1;
    if (low >= 0) {
      out.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    } else if (c == '/' && separator != '\0') {
      out.push_back(separator);
    } else if (c == separator || c == '/') {
      escape(out, c);
    } else {
      out.push_back(c);
    }
  }
  return out;
}

Result<void> check_view(const NameView& view) {
  const char separator = view.separator;
  const bool usable = printable(separator) && !ascii_alpha(separator) && !ascii_digit(separator) &&
                      std::string_view(" %*&\"").find(separator) == std::string_view::npos;
  if (separator != '\0' && !usable) return fail(Fault::syntax, "not a character that can stand between levels");
  if (view.prefix.empty()) return {};
  if (separator == '\0' || !view.prefix.ends_with(separator)) return fail(Fault::syntax, "a prefix ends with the separator");
  const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (!is_utf8(view.prefix) || std::ranges::any_of(view.prefix, control) || view.prefix.find_first_of("%*") != std::string::npos)
    return fail(Fault::syntax, "the prefix has characters that are not allowed");
  const std::string doubled(2, separator);
  if (view.prefix.front() == separator || view.prefix.contains(doubled)) return fail(Fault::syntax, "the prefix has an empty level");
  return {};
}

}  // namespace relais::directory
