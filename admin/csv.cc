// CSV with quoted fields, for account import.
#include "admin/csv.h"

#include "base/ascii.h"

#include <algorithm>
#include <iterator>
#include <optional>

namespace relais::admin {
namespace {

struct Record {
  std::size_t line = 0;
  std::vector<std::string> fields;
};

/// Walks the text once; a quoted field may hold commas, line ends and doubled quotes.
class CsvReader {
 public:
  explicit CsvReader(std::string text) : text_(std::move(text)) {}

  Result<std::optional<Record>> next() {
    while (at_ < text_.size() && (text_[at_] == '\n' || text_[at_] == '\r')) skip_line_end();  // empty lines
    if (at_ >= text_.size()) return std::nullopt;
    Record record{.line = line_, .fields = {}};
    for (;;) {
      RELAIS_TRY(auto field, text_[at_ < text_.size() ? at_ : text_.size() - 1] == '"' && at_ < text_.size() ? quoted() : Result<std::string>(plain()));
      record.fields.push_back(std::move(field));
      if (at_ >= text_.size()) return record;
      if (text_[at_] == ',') {
        ++at_;
        continue;
      }
      if (text_[at_] != '\n' && text_[at_] != '\r') return fail(Fault::syntax, "line " + std::to_string(line_) + ": text after a closing quote");
      skip_line_end();
      return record;
    }
  }

 private:
  void skip_line_end() {
    if (text_[at_] == '\n') ++line_;
    ++at_;
  }
  std::string plain() {
    const auto end = std::min(text_.find_first_of(",\r\n", at_), text_.size());
    auto field = std::string(trim(std::string_view(text_).substr(at_, end - at_)));
    at_ = end;
    return field;
  }
  Result<std::string> quoted() {
    const auto opened = line_;
    std::string field;
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '"' && at_ + 1 < text_.size() && text_[at_ + 1] == '"') ++at_;
      else if (text_[at_] == '"') {
        ++at_;
        return field;
      }
      if (text_[at_] == '\n') ++line_;
      field += text_[at_];
    }
    return fail(Fault::syntax, "line " + std::to_string(opened) + ": a quoted field is not closed");
  }

  std::string text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
};

std::optional<std::uint64_t> parse_octets(std::string_view text) {
  if (text.empty()) return 0;
  const auto digits = text.find_first_not_of("0123456789");
  const auto number = parse_u64(text.substr(0, digits));
  if (!number) return std::nullopt;
  const auto unit = digits == std::string_view::npos ? std::string() : to_upper(trim(text.substr(digits)));
  constexpr std::string_view kUnits[] = {"", "K", "M", "G", "T"};
  for (unsigned power = 0; power < std::size(kUnits); ++power) {
    const bool same = unit == kUnits[power] || unit == std::string(kUnits[power]) + "B";
    if (same && *number <= UINT64_MAX >> (10 * power)) return *number << (10 * power);
  }
  return std::nullopt;
}

}  // namespace

Result<std::vector<nlohmann::json>> read_account_csv(std::istream& in) {
  CsvReader reader(std::string(std::istreambuf_iterator<char>(in), {}));
  RELAIS_TRY(const auto header, reader.next());
  if (!header) return fail(Fault::syntax, "the file is empty; the first line names the columns: address,password_hash,quota");
  const auto column = [&](std::initializer_list<std::string_view> names) -> std::optional<std::size_t> {
    for (std::size_t i = 0; i < header->fields.size(); ++i) {
      if (std::ranges::any_of(names, [&](auto name) { return iequals(name, header->fields[i]); })) return i;
    }
    return std::nullopt;
  };
  const auto address = column({"address", "email", "user"});
  const auto hash = column({"password_hash", "password", "hash"});
  const auto quota = column({"quota", "quota_octets"});
  const auto legacy_user = column({"legacy_user"});
  if (!address) return fail(Fault::syntax, "line 1: no column 'address'; the first line names the columns: address,password_hash,quota");

  std::vector<nlohmann::json> rows;
  for (;;) {
    RELAIS_TRY(auto record, reader.next());
    if (!record) return rows;
    const auto field = [&](std::optional<std::size_t> i) { return i && *i < record->fields.size() ? record->fields[*i] : std::string(); };
    const auto octets = parse_octets(field(quota));
    if (!octets) return fail(Fault::syntax, "line " + std::to_string(record->line) + ": quota '" + field(quota) + "' is not a size such as 2GB");
    rows.push_back({{"address", field(address)}, {"password_hash", field(hash)}, {"quota_octets", *octets}, {"line", record->line}});
    if (auto user = field(legacy_user); !user.empty()) rows.back()["legacy_user"] = std::move(user);
  }
}

Result<AccountList> read_account_list(std::istream& in) {
  CsvReader reader(std::string(std::istreambuf_iterator<char>(in), {}));
  RELAIS_TRY(const auto header, reader.next());
  if (!header) return fail(Fault::syntax, "the file is empty; the first line names the columns: address,group");
  const auto column = [&](std::string_view name) {
    return static_cast<std::size_t>(std::ranges::find_if(header->fields, [&](const auto& field) { return iequals(name, field); }) - header->fields.begin());
  };
  const auto address = column("address");
  const auto group = column("group");
  const auto verdict = column("verdict");
  if (address == header->fields.size()) return fail(Fault::syntax, "line 1: no column 'address'");
  AccountList list;
  for (;;) {
    RELAIS_TRY(const auto record, reader.next());
    if (!record) return list;
    const auto field = [&](std::size_t i) { return i < record->fields.size() ? record->fields[i] : std::string(); };
    if (field(address).empty()) return fail(Fault::syntax, "line " + std::to_string(record->line) + ": no address");
    if (field(verdict) == "red" || field(verdict) == "failed")
      ++list.left_out;
    else
      list.rows.push_back({{"address", to_lower(field(address))}, {"group", field(group)}});
  }
}

}  // namespace relais::admin
