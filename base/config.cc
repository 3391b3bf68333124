// The schema of the configuration, and its documentation made from it.
#include "base/config.h"

#include "base/check.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace relais::config {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t factor;
};
// Largest first: the texts take the first that divides.
constexpr std::array kSizes{Unit{"TB", 1LL << 40}, Unit{"GB", 1LL << 30}, Unit{"MB", 1LL << 20}, Unit{"KB", 1LL << 10}, Unit{"B", 1}};
constexpr std::array kDurations{Unit{"d", 86'400'000}, Unit{"h", 3'600'000}, Unit{"m", 60'000}, Unit{"s", 1'000}, Unit{"ms", 1}};

std::optional<std::int64_t> parse_with_unit(std::string_view text, std::span<const Unit> units) noexcept {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || number < 0) return std::nullopt;
  const std::string_view name(end, static_cast<std::size_t>(text.data() + text.size() - end));
  for (const auto& unit : units) {
    if (unit.name != name) continue;
    if (number > std::numeric_limits<std::int64_t>::max() / unit.factor) return std::nullopt;
    return number * unit.factor;
  }
  return std::nullopt;
}

std::string text_with_unit(std::int64_t number, std::span<const Unit> units) {
  const auto* const unit = std::ranges::find_if(units, [&](const Unit& u) { return number % u.factor == 0 && number >= u.factor; }).base();
  const auto& chosen = unit == units.data() + units.size() ? units.back() : *unit;
  return std::to_string(number / chosen.factor) + std::string(chosen.name);
}

std::int64_t own(std::optional<std::int64_t> parsed) {
  RELAIS_CHECK(parsed.has_value());  // a literal in our own table
  return *parsed;
}

Key make(std::string name, Type type, Value fallback, std::string text) {
  Key key;
  key.name = std::move(name);
  key.type = type;
  key.text = std::move(text);
  key.default_value = std::move(fallback);
  return key;
}

std::string quoted(std::string_view text) {
  static constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out = "\"";
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (octet < 0x20 || octet == 0x7f) {
      out += "\\u00";
      out += kHex[octet >> 4];
      out += kHex[octet & 15];
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : ", ") + quoted(word);
  return out;
}

// A value as TOML.
std::string literal(const Key& key, const Value& value) {
  switch (key.type) {
    case Type::boolean: return std::get<bool>(value) ? "true" : "false";
    case Type::integer: return std::to_string(std::get<std::int64_t>(value));
    case Type::size: return quoted(size_text(std::get<std::int64_t>(value)));
    case Type::duration: return quoted(duration_text(std::get<std::int64_t>(value)));
    case Type::text:
    case Type::choice: return quoted(std::get<std::string>(value));
    case Type::list: return "[" + joined(std::get<std::vector<std::string>>(value)) + "]";
  }
  return {};
}

// The first default of a key that has none, as an example.
std::string example(const Key& key) {
  switch (key.type) {
    case Type::boolean: return "true";
    case Type::integer: return std::to_string(key.minimum);
    case Type::size: return quoted(size_text(key.minimum));
    case Type::duration: return quoted(duration_text(key.minimum));
    case Type::text: return "\"\"";
    case Type::choice: return quoted(key.allowed.front());
    case Type::list: return "[]";
  }
  return {};
}

void append_comment(std::string& out, std::string_view text) {
  constexpr std::size_t kWidth = 110;
  while (!text.empty()) {
    auto size = text.size();
    if (size > kWidth) {
      const auto space = text.substr(0, kWidth).rfind(' ');
      size = space == std::string_view::npos ? kWidth : space;
    }
    out.append("# ").append(text.substr(0, size)) += '\n';
    text.remove_prefix(size);
    if (text.starts_with(' ')) text.remove_prefix(1);
  }
}

}  // namespace

std::optional<std::int64_t> parse_size(std::string_view text) noexcept { return parse_with_unit(text, kSizes); }
std::optional<std::int64_t> parse_duration(std::string_view text) noexcept { return parse_with_unit(text, kDurations); }
std::string size_text(std::int64_t octets) { return text_with_unit(octets, kSizes); }
std::string duration_text(std::int64_t milliseconds) { return text_with_unit(milliseconds, kDurations); }

Key boolean(std::string name, bool fallback, std::string text) { return make(std::move(name), Type::boolean, fallback, std::move(text)); }

Key integer(std::string name, std::int64_t fallback, std::int64_t minimum, std::int64_t maximum, std::string unit, std::string text) {
  auto key = make(std::move(name), Type::integer, fallback, std::move(text));
  key.minimum = minimum;
  key.maximum = maximum;
  key.unit = std::move(unit);
  RELAIS_CHECK(minimum <= fallback && fallback <= maximum);
  return key;
}

Key size(std::string name, std::string_view fallback, std::string_view minimum, std::string_view maximum, std::string text) {
  auto key = integer(std::move(name), own(parse_size(fallback)), own(parse_size(minimum)), own(parse_size(maximum)), {}, std::move(text));
  key.type = Type::size;
  return key;
}

Key duration(std::string name, std::string_view fallback, std::string_view minimum, std::string_view maximum, std::string text) {
  auto key = integer(std::move(name), own(parse_duration(fallback)), own(parse_duration(minimum)), own(parse_duration(maximum)), {}, std::move(text));
  key.type = Type::duration;
  return key;
}

Key text(std::string name, std::string fallback, std::string text) {
  return make(std::move(name), Type::text, std::move(fallback), std::move(text));
}

Key choice(std::string name, std::string fallback, std::vector<std::string> allowed, std::string text) {
  RELAIS_CHECK(std::ranges::find(allowed, fallback) != allowed.end());
  auto key = make(std::move(name), Type::choice, std::move(fallback), std::move(text));
  key.allowed = std::move(allowed);
  return key;
}

Key list(std::string name, std::vector<std::string> fallback, std::string text) {
  return make(std::move(name), Type::list, std::move(fallback), std::move(text));
}

Key required(Key key) {
  key.default_value.reset();
  return key;
}

std::string allowed_text(const Key& key) {
  switch (key.type) {
    case Type::boolean: return "true or false";
    case Type::integer:
      return "an integer from " + std::to_string(key.minimum) + " to " + std::to_string(key.maximum) + (key.unit.empty() ? "" : " (" + key.unit + ")");
    case Type::size: return "a size such as \"64KB\", from " + size_text(key.minimum) + " to " + size_text(key.maximum);
    case Type::duration: return "a duration such as \"30s\", from " + duration_text(key.minimum) + " to " + duration_text(key.maximum);
    case Type::text: return "a text in quotes";
    case Type::choice: return "one of " + joined(key.allowed);
    case Type::list: return "a list of texts such as [\"a\", \"b\"]";
  }
  return {};
}

const Key* Section::find(std::string_view key) const noexcept {
  const auto at = std::ranges::find(keys, key, &Key::name);
  return at == keys.end() ? nullptr : &*at;
}

Schema& Schema::section(std::string_view name, std::string text, std::vector<Key> keys) {
  return add({std::string(name), std::move(text), std::move(keys), false});
}

Schema& Schema::repeated(std::string_view name, std::string text, std::vector<Key> keys) {
  return add({std::string(name), std::move(text), std::move(keys), true});
}

Schema& Schema::add(Section section) {
  auto at = std::ranges::find(sections_, section.name, &Section::name);
  if (at == sections_.end()) {
    sections_.push_back({std::move(section.name), std::move(section.text), {}, section.repeated});
    at = sections_.end() - 1;
  }
  RELAIS_CHECK(at->repeated == section.repeated);
  for (auto& key : section.keys) {
    RELAIS_CHECK(at->find(key.name) == nullptr);
    at->keys.push_back(std::move(key));
  }
  return *this;
}

const Section* Schema::find(std::string_view name) const noexcept {
  const auto at = std::ranges::find(sections_, name, &Section::name);
  return at == sections_.end() ? nullptr : &*at;
}

const Value& Table::value(std::string_view key) const {
  const auto at = values_.find(key);
  RELAIS_CHECK(at != values_.end());
  return at->second.value;
}

void Table::set(std::string key, Value value, bool given) { values_.insert_or_assign(std::move(key), Entry{std::move(value), given}); }

bool Table::given(std::string_view key) const {
  const auto at = values_.find(key);
  return at != values_.end() && at->second.given;
}

bool Table::boolean(std::string_view key) const { return std::get<bool>(value(key)); }
std::int64_t Table::integer(std::string_view key) const { return std::get<std::int64_t>(value(key)); }
std::uint64_t Table::size(std::string_view key) const { return static_cast<std::uint64_t>(std::get<std::int64_t>(value(key))); }
Duration Table::duration(std::string_view key) const { return Duration(std::get<std::int64_t>(value(key))); }
const std::string& Table::text(std::string_view key) const { return std::get<std::string>(value(key)); }
const std::vector<std::string>& Table::list(std::string_view key) const { return std::get<std::vector<std::string>>(value(key)); }

const std::vector<Table>& Values::tables(std::string_view section) const {
  static const std::vector<Table> none;
  const auto at = tables_.find(section);
  return at == tables_.end() ? none : at->second;
}

std::string render_defaults(const Schema& schema) {
  std::string out;
  for (const auto& section : schema.sections()) {
    if (!out.empty()) out += '\n';
    append_comment(out, section.text);
    const std::string_view comment = section.repeated ? "#" : "";
    out.append(comment).append(section.repeated ? "[[" : "[").append(section.name).append(section.repeated ? "]]\n" : "]\n");
    for (const auto& key : section.keys) {
      out += '\n';
      append_comment(out, key.text);
      append_comment(out, (key.default_value ? "" : "Required: ") + allowed_text(key));
      out.append(key.default_value ? comment : "#").append(key.name).append(" = ");
      out.append(key.default_value ? literal(key, *key.default_value) : example(key)) += '\n';
    }
  }
  return out;
}

std::string render_markdown(const Schema& schema) {
  std::string out = "# Configuration\n\nMade from the schema in the program: change it there. The file is TOML; an unknown key is an error.\n";
  const auto cell = [&out](std::string_view text) {
    for (const char c : text) out.append(c == '|' ? "\\|" : std::string_view(&c, 1));
    out += " | ";
  };
  for (const auto& section : schema.sections()) {
    out.append("\n## `").append(section.repeated ? "[[" : "[").append(section.name).append(section.repeated ? "]]" : "]").append("`\n\n");
    out.append(section.text).append("\n\n| key | default | allowed | meaning |\n|---|---|---|---|\n");
    for (const auto& key : section.keys) {
      out += "| ";
      cell("`" + key.name + "`");
      cell(key.default_value ? "`" + literal(key, *key.default_value) + "`" : "required");
      cell(allowed_text(key));
      cell(key.text);
      out.back() = '\n';
    }
  }
  return out;
}

}  // namespace relais::config
