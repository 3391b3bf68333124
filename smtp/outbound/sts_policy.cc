// The texts of MTA-STS.
#include "smtp/outbound/sts_policy.h"

#include "base/ascii.h"
#include "net/dns_records.h"

#include <algorithm>
#include <optional>

namespace relais::smtp {
namespace {

constexpr std::string_view kTxtVersion = "v=STSv1";
constexpr std::size_t kMaxId = 32;    // characters, RFC 8461 §3.1
constexpr std::size_t kMaxName = 32;  // characters of an extension's name
constexpr std::size_t kMaxPatterns = 1000;

std::unexpected<Error> bad_txt(std::string_view why) { return fail(Fault::syntax, "no usable MTA-STS record", "", why); }
std::unexpected<Error> bad_policy(std::string_view why) { return fail(Fault::syntax, std::string("not an MTA-STS policy: ").append(why)); }

bool alphanumeric(char c) noexcept { return ascii_alpha(c) || ascii_digit(c); }

// sts-ext-name, sts-policy-ext-name = (ALPHA / DIGIT) *31(ALPHA / DIGIT / "_" / "-" / ".")
bool is_field_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= kMaxName && alphanumeric(name.front()) &&
         std::ranges::all_of(name, [](char c) { return alphanumeric(c) || c == '_' || c == '-' || c == '.'; });
}

// sts-ext-value = 1*(%x21-3A / %x3C / %x3E-7E)
bool is_txt_value(std::string_view value) noexcept {
  return !value.empty() && std::ranges::all_of(value, [](char c) { return c > 0x20 && c < 0x7f && c != ';' && c != '='; });
}

bool is_id(std::string_view value) noexcept { return !value.empty() && value.size() <= kMaxId && std::ranges::all_of(value, alphanumeric); }

// sts-text-record = sts-version 1*(sts-field-delim sts-field) [sts-field-delim]        RFC 8461 §3.1
Result<std::string> id_of(std::string_view record) {
  std::optional<std::string> id;
  auto fields = split(record, ';');
  if (trim(fields.back()).empty()) fields.pop_back();  // the delimiter at the end
  for (std::size_t i = 1; i < fields.size(); ++i) {
    const auto field = trim(fields[i]);
    const auto equals = field.find('=');
    if (equals == std::string_view::npos) return bad_txt("a field without \"=\"");
    const auto name = field.substr(0, equals);
    const auto value = field.substr(equals + 1);
    if (name == "id") {
      if (!is_id(value)) return bad_txt("the id is malformed");
      if (!id) id = value;  // §3.2: entries except for the first are ignored
    } else if (!is_field_name(name) || !is_txt_value(value)) {
      return bad_txt("a malformed field");
    }
  }
  if (!id) return bad_txt("no id");
  return *id;
}

// sts-policy-mx-value = ["*."] Domain
bool is_pattern(std::string_view pattern) noexcept {
  if (pattern.starts_with("*.")) pattern.remove_prefix(2);
  return net::is_host_name(pattern);
}

bool has_controls(std::string_view text) noexcept {
  return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

// The known fields; each but mx counts once.
struct Fields {
  bool version = false;
  std::optional<StsPolicy::Mode> mode;
  std::optional<std::uint32_t> max_age;
};

Result<void> take_mode(std::string_view value, Fields& fields) {
  if (fields.mode) return {};
  for (const auto mode : {StsPolicy::Mode::none, StsPolicy::Mode::testing, StsPolicy::Mode::enforce})
    if (value == to_string(mode)) fields.mode = mode;
  if (!fields.mode) return bad_policy("unknown mode");
  return {};
}

Result<void> take_max_age(std::string_view value, Fields& fields) {
  if (fields.max_age) return {};
  const auto seconds = value.size() <= 10 ? parse_u64(value) : std::nullopt;
  if (!seconds) return bad_policy("max_age is no number");
  fields.max_age = static_cast<std::uint32_t>(std::min<std::uint64_t>(*seconds, kStsMaxAge));
  return {};
}

}  // namespace

std::string_view to_string(StsPolicy::Mode mode) noexcept {
  switch (mode) {
    case StsPolicy::Mode::none: return "none";
    case StsPolicy::Mode::testing: return "testing";
    case StsPolicy::Mode::enforce: return "enforce";
  }
  return "?";
}

Result<std::string> parse_sts_txt(std::span<const std::string> records) {
  std::string_view only;
  int count = 0;
  for (const std::string_view record : records) {
    // "Records that do not begin with "v=STSv1;" are discarded"; the ABNF allows space before the semicolon.
    if (!record.starts_with(kTxtVersion) || !trim(record.substr(kTxtVersion.size())).starts_with(';')) continue;
    only = record;
    ++count;
  }
  if (count != 1) return bad_txt(count == 0 ? "none" : "more than one");
  return id_of(only);
}

Result<StsPolicy> parse_sts_policy(std::string_view text) {
  StsPolicy policy;
  Fields fields;
  for (auto line : split(text, '\n')) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    while (line.ends_with(' ') || line.ends_with('\t')) line.remove_suffix(1);
    if (line.empty()) continue;  // stricter readers than us would refuse it; nothing hangs on it
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || !is_field_name(line.substr(0, colon))) return bad_policy("a line without a field");
    const auto name = line.substr(0, colon);
    const auto value = trim(line.substr(colon + 1));
    if (has_controls(value) || !is_utf8(value)) return bad_policy("odd octets");
    if (name == "version") {
      if (!fields.version && value != "STSv1") return bad_policy("unknown version");
      fields.version = true;
    } else if (name == "mode") {
      RELAIS_TRY_VOID(take_mode(value, fields));
    } else if (name == "max_age") {
      RELAIS_TRY_VOID(take_max_age(value, fields));
    } else if (name == "mx") {
      if (!is_pattern(value) || policy.mx.size() == kMaxPatterns) return bad_policy("a malformed mx");
      policy.mx.push_back(to_lower(value));
    } else {
      continue;
    }
    policy.lines.push_back(std::string(name) + ": " + std::string(value));
  }
  if (!fields.version) return bad_policy("no version");
  if (!fields.mode) return bad_policy("no mode");
  if (!fields.max_age) return bad_policy("no max_age");
  if (policy.mx.empty() && *fields.mode != StsPolicy::Mode::none) return bad_policy("no mx");
  policy.mode = *fields.mode;
  policy.max_age = *fields.max_age;
  return policy;
}

bool sts_matches(const StsPolicy& policy, std::string_view host) noexcept {
  return std::ranges::any_of(policy.mx, [&](std::string_view pattern) {
    if (!pattern.starts_with("*.")) return pattern == host;
    const auto dot = host.find('.');
    return dot != std::string_view::npos && dot > 0 && host.substr(dot) == pattern.substr(1);
  });
}

}  // namespace relais::smtp
