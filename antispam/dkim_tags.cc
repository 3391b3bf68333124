// Parses tag-lists.
#include "antispam/dkim_tags.h"

#include "base/ascii.h"

#include <algorithm>

namespace relais::antispam {
namespace {

constexpr bool is_space(char c) noexcept { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

// tag-name = ALPHA *ALNUMPUNC                                   RFC 6376 §3.2
bool is_tag_name(std::string_view name) noexcept {
  if (name.empty() || !ascii_alpha(name.front())) return false;
  return std::ranges::all_of(name, [](char c) { return ascii_alpha(c) || ascii_digit(c) || c == '_'; });
}

// tval = 1*VALCHAR; VALCHAR = %x21-3A / %x3C-7E, and UTF-8      RFC 6376 §3.2, RFC 8616 §4
bool is_tag_value(std::string_view value) noexcept {
  return std::ranges::all_of(value, [](char c) { return is_space(c) || (static_cast<unsigned char>(c) > 32 && c != 127); });
}

}  // namespace

// tag-list = tag-spec *( ";" tag-spec ) [ ";" ]                 RFC 6376 §3.2
std::optional<TagList> TagList::parse(std::string_view text) {
  TagList list;
  while (true) {
    const auto end = text.find(';');
    const auto spec = trim(text.substr(0, end));
    const bool last = end == std::string_view::npos;
    if (spec.empty()) {
      if (last && !list.tags_.empty()) return list;  // the final ";"
      return std::nullopt;
    }
    const auto equals = spec.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    const auto name = trim(spec.substr(0, equals));
    const auto value = trim(spec.substr(equals + 1));
    if (!is_tag_name(name) || !is_tag_value(value) || list.has(name) || list.tags_.size() == kMaxTags) return std::nullopt;
    list.tags_.emplace_back(name, value);
    if (last) return list;
    text.remove_prefix(end + 1);
  }
}

std::optional<std::string_view> TagList::find(std::string_view name) const noexcept {
  const auto tag = std::ranges::find(tags_, name, &std::pair<std::string_view, std::string_view>::first);
  if (tag == tags_.end()) return std::nullopt;
  return tag->second;
}

std::string without_space(std::string_view value) {
  std::string out(value);
  std::erase_if(out, is_space);
  return out;
}

std::vector<std::string_view> colon_list(std::string_view value) {
  std::vector<std::string_view> out;
  for (const auto piece : split(value, ':')) {
    if (const auto name = trim(piece); !name.empty()) out.push_back(name);
  }
  return out;
}

std::string without_signature(std::string_view raw_field) {
  std::string out;
  out.reserve(raw_field.size());
  std::size_t at = raw_field.find(':');
  if (at == std::string_view::npos) return std::string(raw_field);
  out.append(raw_field.substr(0, ++at));
  while (at < raw_field.size()) {
    auto end = raw_field.find(';', at);
    if (end == std::string_view::npos) end = raw_field.size();
    const auto spec = raw_field.substr(at, end - at);
    const auto equals = spec.find('=');
    const bool signature = equals != std::string_view::npos && trim(spec.substr(0, equals)) == "b";
    out.append(signature ? spec.substr(0, equals + 1) : spec);
    if (end < raw_field.size()) out += ';';
    at = end + 1;
  }
  return out;
}

}  // namespace relais::antispam
