// Reads a TOML file into the values of a schema.
#include "base/config.h"

#include <cerrno>
#include <fstream>
#include <iterator>
#include <set>
#include <system_error>

#include <toml++/toml.h>

namespace relais::config {
namespace {

/// Where messages point to.
struct Place {
  std::string_view file;
  std::size_t line = 0;
};

std::unexpected<Error> wrong(const Place& at, const std::string& what) {
  return fail(Fault::refused, std::string(at.file) + ":" + std::to_string(at.line) + ": " + what);
}

// Octets of the file in a message: what is not printable US-ASCII is shown as "?".
std::string shown(std::string_view text) {
  constexpr std::size_t kMax = 60;
  std::string out;
  for (const char c : text.substr(0, kMax)) out += c >= ' ' && c < 0x7f ? c : '?';
  if (text.size() > kMax) out += "...";
  return out;
}

std::string joined_path(std::string_view path, std::string_view name) { return path.empty() ? std::string(name) : std::string(path) + "." + std::string(name); }

class Reader {
 public:
  Reader(const Schema& schema, std::string_view file) : schema_(schema), file_(file) {}

  Result<Values> read(const toml::table& root) {
    RELAIS_TRY_VOID(read_level(root, ""));
    for (const auto& section : schema_.sections()) {
      if (section.repeated) continue;
      RELAIS_TRY_VOID(fill_in(section, section.name + ".", values_, {file_, lines_[section.name]}));
    }
    return std::move(values_);
  }

 private:
  Place place(const toml::node& node) const { return {file_, node.source().begin.line}; }

  // A table of the file: each member is a key of the section with the table's name, or leads on to a section.
  Result<void> read_level(const toml::table& table, const std::string& path) {
    const auto* const section = schema_.find(path);
    lines_[path] = table.source().begin.line;
    for (const auto& [name, node] : table) {
      const auto full = joined_path(path, name.str());
      const auto* const key = section != nullptr ? section->find(name.str()) : nullptr;
      if (key != nullptr) {
        RELAIS_TRY(auto value, read_value(node, *key, full));
        values_.set(full, std::move(value), true);
        continue;
      }
      const auto* const below = schema_.find(full);
      if (below != nullptr && below->repeated) {
        RELAIS_TRY_VOID(read_repeated(node, *below));
      } else if (below != nullptr || leads_on(full)) {
        if (!node.is_table()) return wrong(place(node), shown(full) + " is a section: write [" + shown(full) + "]");
        RELAIS_TRY_VOID(read_level(*node.as_table(), full));
      } else {
        return unknown(place(node), path, name.str(), section);
      }
    }
    return {};
  }

  Result<void> read_repeated(const toml::node& node, const Section& section) {
    const auto* const array = node.as_array();
    if (array == nullptr || !array->is_array_of_tables())
      return wrong(place(node), section.name + " is a repeated section: write [[" + section.name + "]]");
    for (const auto& element : *array) {
      Table table;
      for (const auto& [name, member] : *element.as_table()) {
        const auto* const key = section.find(name.str());
        if (key == nullptr) return unknown(place(member), section.name, name.str(), &section);
        RELAIS_TRY(auto value, read_value(member, *key, section.name + "." + key->name));
        table.set(key->name, std::move(value), true);
      }
      RELAIS_TRY_VOID(fill_in(section, "", table, place(element)));
      values_.add_table(section.name, std::move(table));
    }
    return {};
  }

  Result<void> fill_in(const Section& section, const std::string& prefix, Table& table, const Place& at) {
    for (const auto& key : section.keys) {
      if (table.given(prefix + key.name)) continue;
      if (!key.default_value) return wrong(at, section.name + "." + key.name + " is missing; it must be " + allowed_text(key));
      table.set(prefix + key.name, *key.default_value, false);
    }
    return {};
  }

  bool leads_on(const std::string& path) const {
    const auto prefix = path + ".";
    return std::ranges::any_of(schema_.sections(), [&](const Section& s) { return s.name.starts_with(prefix); });
  }

  std::unexpected<Error> unknown(const Place& at, const std::string& path, std::string_view name, const Section* section) const {
    std::set<std::string> known;
    const auto prefix = path.empty() ? "" : path + ".";
    if (section != nullptr)
      for (const auto& key : section->keys) known.insert(key.name);
    for (const auto& other : schema_.sections())
      if (other.name.starts_with(prefix) && !(section != nullptr && section->repeated)) {
        const auto rest = std::string_view(other.name).substr(prefix.size());
        known.insert("[" + prefix + std::string(rest.substr(0, rest.find('.'))) + "]");
      }
    std::string names;
    for (const auto& one : known) names += (names.empty() ? "" : ", ") + one;
    return wrong(at, "unknown key " + shown(joined_path(path, name)) + "; known here: " + names);
  }

  Result<Value> read_value(const toml::node& node, const Key& key, const std::string& full) const {
    const auto refuse = [&](const std::string& got) { return wrong(place(node), shown(full) + " must be " + allowed_text(key) + ", not " + got); };
    const auto ranged = [&](std::optional<std::int64_t> number, const std::string& got) -> Result<Value> {
      if (!number || *number < key.minimum || *number > key.maximum) return refuse(got);
      return *number;
    };
    const auto* const words = node.as_string();
    const auto got = words != nullptr ? "\"" + shown(words->get()) + "\"" : node.is_integer() ? std::to_string(node.as_integer()->get()) : type_name(node);
    switch (key.type) {
      case Type::boolean:
        if (!node.is_boolean()) return refuse(got);
        return node.as_boolean()->get();
      case Type::integer: return ranged(node.is_integer() ? std::optional(node.as_integer()->get()) : std::nullopt, got);
      case Type::size: return ranged(words != nullptr ? parse_size(words->get()) : std::nullopt, got);
      case Type::duration: return ranged(words != nullptr ? parse_duration(words->get()) : std::nullopt, got);
      case Type::text:
        if (words == nullptr) return refuse(got);
        return words->get();
      case Type::choice:
        if (words == nullptr || std::ranges::find(key.allowed, words->get()) == key.allowed.end()) return refuse(got);
        return words->get();
      case Type::list: {
        if (!node.is_array()) return refuse(got);
        std::vector<std::string> list;
        for (const auto& element : *node.as_array()) {
          if (!element.is_string()) return refuse("a list with " + type_name(element));
          list.push_back(element.as_string()->get());
        }
        return list;
      }
    }
    return refuse(got);
  }

  static std::string type_name(const toml::node& node) {
    switch (node.type()) {
      case toml::node_type::table: return "a table";
      case toml::node_type::array: return "a list";
      case toml::node_type::string: return "a text";
      case toml::node_type::integer: return "an integer";
      case toml::node_type::floating_point: return "a number with a fraction";
      case toml::node_type::boolean: return "a boolean";
      case toml::node_type::date:
      case toml::node_type::time:
      case toml::node_type::date_time: return "a date";
      case toml::node_type::none: break;
    }
    return "nothing";
  }

  const Schema& schema_;
  std::string_view file_;
  Values values_;
  std::map<std::string, std::size_t> lines_;  ///< where each section begins
};

}  // namespace

Result<Values> parse(const Schema& schema, std::string_view text, std::string_view file) {
  try {
    const toml::table root = toml::parse(text);
    return Reader(schema, file).read(root);
  } catch (const toml::parse_error& error) {
    return wrong({file, error.source().begin.line}, "not TOML: " + std::string(error.description()));
  }
}

Result<Values> load(const Schema& schema, const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in.is_open() || in.bad()) return fail(Fault::refused, path + ": cannot read the configuration: " + std::system_category().message(errno));
  return parse(schema, text, path);
}

Result<Values> defaults(const Schema& schema) { return Reader(schema, "defaults").read(toml::table()); }

}  // namespace relais::config
