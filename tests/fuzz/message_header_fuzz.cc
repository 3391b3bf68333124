// Any octets as a header: the fields are all of it, selecting and its opposite divide it, and the parsers of values survive each of them.
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/ascii.h"
#include "message/address.h"
#include "message/base_subject.h"
#include "message/date.h"
#include "message/encoding.h"
#include "message/header.h"
#include "message/mime.h"
#include "message/summary.h"
#include "message/trace.h"

using namespace relais;
using namespace relais::message;

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

void check_value(std::string_view value) {
  const auto plain = unfold(value);
  check(plain.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
  for (const auto& address : parse_address_list(value))
    check(address.mailbox.size() <= value.size() && address.host.size() <= value.size());
  const auto parsed = parse_parameterized(value);
  check(is_ascii(parsed.value));
  for (const auto& parameter : parsed.parameters) {
    check(!parameter.name.empty() && parameter.name.find_first_of("\r\n") == std::string::npos);
    if (!parameter.name.ends_with('*')) check(decoded_parameter(parsed, parameter.name).has_value());
  }
  if (const auto date = parse_date(value)) check(parse_date(format_date(*date)).has_value());
  parse_encoding(value);
  const auto base = base_subject(value);
  check(is_utf8(base));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view header(reinterpret_cast<const char*>(data), size);
  Field field;
  std::size_t pos = 0;
  std::size_t expected = 0;
  while (next_field(header, pos, field)) {
    check(field.offset == expected && !field.raw.empty() && pos == expected + field.raw.size());
    check(field.name.size() + field.value.size() <= field.raw.size() && field.name.find_first_of(" \t\r\n:") == std::string_view::npos);
    expected = pos;
    is_cached_field(field.name);
    check_value(field.value);
  }
  const auto end = header_end(header);
  check(pos <= end && end - pos <= 2);

  const std::vector<std::string> names = {"From", "subject", "X", "received"};
  const auto yes = select_fields(header, names, false);
  const auto no = select_fields(header, names, true);
  check(yes.ends_with("\r\n") && no.ends_with("\r\n"));
  // Together they are the header, each field in one of them; a last line without an end gets one.
  check(yes.size() + no.size() >= pos + 4 && yes.size() + no.size() <= pos + 6);
  // What storage keeps of the header answers for the names it keeps.
  const std::vector<std::string> kept = {"From", "subject", "TO", "x-priority"};
  const auto summary = summarize(header);
  if (summary.header_fields_complete) check(select_fields(summary.header_fields, kept, false) == select_fields(header, kept, false));
  count_received(header);
  has_delivered_to(header, "a@b");
  return 0;
}
