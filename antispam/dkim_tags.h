// "tag=value; tag=value": what DKIM signatures, ARC fields and key records are written in.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace relais::antispam {

/// A tag-list, taken apart. Lifetime: views of the text that was parsed.
class TagList {
 public:
  static constexpr std::size_t kMaxTags = 60;  ///< more is no list: a signature has about ten

  /// @param text  folded or not; names are case-sensitive; UTF-8 is allowed in values (RFC 8616)
  /// @return nullopt where it is malformed, or a tag comes twice (RFC 6376 §3.2: then the whole list is invalid).
  static std::optional<TagList> parse(std::string_view text);

  /// Without surrounding white space, inner folding kept; nullopt where absent.
  std::optional<std::string_view> find(std::string_view name) const noexcept;
  /// The same; empty where absent.
  std::string_view get(std::string_view name) const noexcept { return find(name).value_or(std::string_view{}); }
  bool has(std::string_view name) const noexcept { return find(name).has_value(); }

 private:
  std::vector<std::pair<std::string_view, std::string_view>> tags_;
};

/// Without any white space: base64 and lists may be folded anywhere.
std::string without_space(std::string_view value);

/// The elements of "a : b:c" without white space; empty ones are left out.
std::vector<std::string_view> colon_list(std::string_view value);

/// A signature field's raw text with the value of its b= tag removed, everything else as it was: RFC 6376 §3.7.
std::string without_signature(std::string_view raw_field);

}  // namespace relais::antispam
