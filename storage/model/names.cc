// Mailbox names.
#include "storage/model/names.h"

#include "base/ascii.h"

#include <unicode/normalizer2.h>
#include <unicode/unistr.h>

#include <algorithm>

namespace relais::storage::model {
namespace {

std::unexpected<Error> cannot(std::string_view why) { return fail(Fault::refused, why, "CANNOT"); }

// Net-Unicode without what has no place in a name: C0, DEL, C1 controls, U+2028, U+2029 (RFC 9051 §5.1).
bool has_control(std::string_view name) noexcept {
  for (std::size_t i = 0; i < name.size(); ++i) {
    const auto c = static_cast<unsigned char>(name[i]);
    if (c < 0x20 || c == 0x7F) return true;
    if (c == 0xC2 && i + 1 < name.size() && static_cast<unsigned char>(name[i + 1]) < 0xA0) return true;
    if (name.substr(i).starts_with("\xE2\x80\xA8") || name.substr(i).starts_with("\xE2\x80\xA9")) return true;
  }
  return false;
}

Result<std::string> to_nfc(std::string_view name) {
  UErrorCode error = U_ZERO_ERROR;
  const auto* nfc = icu::Normalizer2::getNFCInstance(error);
  if (U_FAILURE(error)) return fail(Fault::temporary, "cannot normalise the mailbox name", "UNAVAILABLE", u_errorName(error));
  const auto text = icu::UnicodeString::fromUTF8(icu::StringPiece(name.data(), static_cast<std::int32_t>(name.size())));
  const auto normal = nfc->normalize(text, error);
  if (U_FAILURE(error)) return cannot("mailbox name cannot be normalised");
  std::string out;
  normal.toUTF8String(out);
  return out;
}

// '/' sorts before any other octet.
unsigned rank(char c) noexcept { return c == '/' ? 0 : static_cast<unsigned char>(c) + 1U; }

}  // namespace

Result<std::string> normalize_name(std::string_view name) {
  if (name.empty()) return cannot("mailbox name is empty");
  if (name.size() > kMaxName) return cannot("mailbox name is too long");
  std::string out(name);
  if (!is_ascii(name)) {
    if (!is_utf8(name)) return cannot("mailbox name is not UTF-8");
    RELAIS_TRY(out, to_nfc(name));
    if (out.size() > kMaxName) return cannot("mailbox name is too long");
  }
  if (has_control(out)) return cannot("mailbox name has a control character");
  for (const auto level : split(out, '/')) {
    if (level.empty()) return cannot("mailbox name has an empty level");
    if (level.size() > kMaxLevel) return cannot("a level of the mailbox name is too long");
  }
  if (const auto first = std::string_view(out).substr(0, out.find('/')); iequals(first, kInbox)) out.replace(0, kInbox.size(), kInbox);
  return out;
}

std::string_view parent_of(std::string_view name) noexcept {
  const auto slash = name.rfind('/');
  return slash == std::string_view::npos ? std::string_view{} : name.substr(0, slash);
}

bool is_below(std::string_view name, std::string_view ancestor) noexcept {
  return name.size() > ancestor.size() && name[ancestor.size()] == '/' && name.starts_with(ancestor);
}

bool name_less(std::string_view a, std::string_view b) noexcept {
  const auto group = [](std::string_view name) { return name == kInbox ? 0 : is_below(name, kInbox) ? 1 : 2; };
  if (group(a) != group(b)) return group(a) < group(b);
  return std::ranges::lexicographical_compare(a, b, {}, rank, rank);
}

}  // namespace relais::storage::model
