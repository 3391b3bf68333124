// Configuration: what keys there are, and the values a TOML file gives them.
#pragma once

#include "base/result.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace relais::config {

using Duration = std::chrono::milliseconds;

/// How a key is written in TOML, and with which getter it is read.
enum class Type : std::uint8_t {
  boolean,   ///< true
  integer,   ///< 42
  size,      ///< octets: "512B", "64KB", "50MB", "2GB", "1TB"; K is 1024
  duration,  ///< "250ms", "30s", "5m", "2h", "7d"
  text,      ///< "words"
  choice,    ///< one of some words
  list,      ///< ["a", "b"]
};

/// A value: boolean, number (also octets and milliseconds), text (also choice), list.
using Value = std::variant<bool, std::int64_t, std::string, std::vector<std::string>>;

/// One key: a row in a component's table. Made with the functions below.
struct Key {
  std::string name;
  Type type = Type::text;
  std::string text;                    ///< what it does, one or two sentences
  std::optional<Value> default_value;  ///< none: the file must give one
  std::int64_t minimum = 0;            ///< of integer, size, duration
  std::int64_t maximum = 0;
  std::string unit;                    ///< of integer: "messages"
  std::vector<std::string> allowed{};  ///< of choice
};

Key boolean(std::string name, bool fallback, std::string text);
Key integer(std::string name, std::int64_t fallback, std::int64_t minimum, std::int64_t maximum, std::string unit, std::string text);
/// Sizes and durations are given as in the file: "64KB". A literal that is wrong ends the process at the start (it is our own).
Key size(std::string name, std::string_view fallback, std::string_view minimum, std::string_view maximum, std::string text);
Key duration(std::string name, std::string_view fallback, std::string_view minimum, std::string_view maximum, std::string text);
Key text(std::string name, std::string fallback, std::string text);
Key choice(std::string name, std::string fallback, std::vector<std::string> allowed, std::string text);
Key list(std::string name, std::vector<std::string> fallback, std::string text);
/// The same key without a default: a file that leaves it out is refused.
Key required(Key key);

/// A table of the file: `[imap]`, or one of several `[[listener]]`.
struct Section {
  std::string name;  ///< may be dotted: "smtp.submission"
  std::string text;
  std::vector<Key> keys;
  bool repeated = false;
  const Key* find(std::string_view key) const noexcept;
};

/// All sections of all components, in the order they are shown.
class Schema {
 public:
  /// Adds keys to a section, which is made where it is new (`text` then describes it). A key that exists twice is our own mistake and ends
  /// the process.
  Schema& section(std::string_view name, std::string text, std::vector<Key> keys);
  /// A section that the file may have any number of times: `[[name]]`.
  Schema& repeated(std::string_view name, std::string text, std::vector<Key> keys);
  const std::vector<Section>& sections() const noexcept { return sections_; }
  const Section* find(std::string_view name) const noexcept;

 private:
  Schema& add(Section section);
  std::vector<Section> sections_;
};

/// The values of one table, each of the type its key has: asking for a key that is not in the schema, or with the wrong getter, is a
/// mistake in our own code and ends the process.
class Table {
 public:
  bool boolean(std::string_view key) const;
  std::int64_t integer(std::string_view key) const;
  std::uint64_t size(std::string_view key) const;  ///< octets
  Duration duration(std::string_view key) const;
  const std::string& text(std::string_view key) const;  ///< text and choice
  const std::vector<std::string>& list(std::string_view key) const;
  /// True where the file gave the value, false where it is the default.
  bool given(std::string_view key) const;

  void set(std::string key, Value value, bool given);
  const Value& value(std::string_view key) const;

 private:
  struct Entry {
    Value value;
    bool given = false;
  };
  std::map<std::string, Entry, std::less<>> values_;
};

/// The values of a whole file; getters take "imap.max_line".
class Values : public Table {
 public:
  /// The tables of a repeated section, in the order of the file.
  const std::vector<Table>& tables(std::string_view section) const;
  void add_table(std::string_view section, Table table) { tables_[std::string(section)].push_back(std::move(table)); }

 private:
  std::map<std::string, std::vector<Table>, std::less<>> tables_;
};

/// Reads a file's text. @param file its name, for messages
/// Errors: Fault::refused; the text is `file:line: what is wrong; what is allowed`.
Result<Values> parse(const Schema& schema, std::string_view text, std::string_view file);
/// Reads a file. Errors: Fault::refused as parse(), or where it cannot be read.
Result<Values> load(const Schema& schema, const std::string& path);
/// Every key at its default.  Errors: Fault::refused naming a required key.
Result<Values> defaults(const Schema& schema);

/// A complete file: every key with its text, type, range and default. Required and repeated ones are commented out.
std::string render_defaults(const Schema& schema);
/// The same as a Markdown reference page (docs/config.md).
std::string render_markdown(const Schema& schema);

/// What a key accepts, for messages and manuals: "an integer from 1 to 9".
std::string allowed_text(const Key& key);

/// "64KB" → 65536; nullopt where it is not a size.
std::optional<std::int64_t> parse_size(std::string_view text) noexcept;
/// "5m" → 300,000 ms.
std::optional<std::int64_t> parse_duration(std::string_view text) noexcept;
/// The shortest exact form: 65536 → "64KB", 300,000 → "5m".
std::string size_text(std::int64_t octets);
std::string duration_text(std::int64_t milliseconds);

}  // namespace relais::config
