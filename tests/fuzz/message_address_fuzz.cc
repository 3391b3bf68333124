// Mailboxes and domains: what is accepted can be written, and reading that gives the same address; trace fields hold one line each.
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/ascii.h"
#include "message/address.h"
#include "message/header.h"
#include "message/trace.h"

using namespace relais;
using namespace relais::message;

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

std::size_t fields_in(std::string_view header) {
  Field field;
  std::size_t count = 0;
  for (std::size_t pos = 0; next_field(header, pos, field); ++count) check(!field.name.empty() && field.raw.ends_with("\r\n"));
  return count;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const bool utf8 : {false, true}) {
    const auto address = parse_mailbox(text, utf8);
    if (!address) {
      check((address.error().fault == Fault::syntax || address.error().fault == Fault::refused) && !address.error().text.empty());
      continue;
    }
    check(is_ascii(address->domain) && address->domain == to_lower(address->domain) && !address->domain.empty());
    const auto written = to_string(*address);
    check(written.find_first_of("\r\n") == std::string::npos);
    const auto again = parse_mailbox(written, utf8);
    check(again.has_value() && *again == *address);
  }
  if (const auto domain = to_ascii_domain(text)) check(to_ascii_domain(*domain).value() == *domain);
  for (const auto& address : parse_address_list(text)) check(address.kind == ListedAddress::Kind::mailbox || address.mailbox.empty());

  Received received;
  received.helo = received.peer_name = received.peer_address = received.authenticated_as = received.recipient = text;
  received.by = received.with = received.id = received.tls_version = received.tls_cipher = text;
  check(fields_in(received_field(received)) == 1);
  check(fields_in(return_path_field(text)) == 1 && fields_in(delivered_to_field(text)) == 1);
  return 0;
}
