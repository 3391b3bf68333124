// Records of routes, keys, secrets, legacy platforms and origins: what decodes encodes to the same; routes written by admins read back.
#include <cstdlib>
#include <string>
#include <string_view>

#include "directory/records.h"
#include "directory/route.h"

using namespace relais;
using namespace relais::directory;

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string key("a.b\0s", 5);
  if (const auto route = decode_route("a.b", text)) check(decode_route("a.b", encode_route(*route)).value() == *route);
  if (const auto found = decode_dkim_key(key, text)) check(decode_dkim_key(key, encode_dkim_key(*found)).value() == *found);
  if (const auto secrets = decode_secrets(text)) check(decode_secrets(encode_secrets(*secrets)).value() == *secrets);
  if (const auto platform = decode_platform("old", text)) check(decode_platform("old", encode_platform(*platform)).value() == *platform);
  if (const auto origin = decode_origin(text)) check(decode_origin(encode_origin(*origin)).value() == *origin);
  if (const auto credential = decode_credential(text)) {
    const auto again = decode_credential(encode_credential(*credential));
    check(again && again->hash == credential->hash && again->knowledge == credential->knowledge);
  }
  if (const auto service = parse_legacy_service(text, ""))
    check(parse_legacy_service(address_text(*service), to_string(service->tls)).value() == *service);
  const auto space = text.find(' ');
  const auto domain = text.substr(0, space);
  const auto target = space == std::string_view::npos ? std::string_view{} : text.substr(space + 1);
  if (const auto route = parse_route(domain, target, "", "")) {
    const auto again = parse_route(route->domain, route_target(*route), "", to_string(route->tls));
    check(again.has_value() && *again == *route);
  } else {
    check(route.error().fault == Fault::syntax && !route.error().text.empty());
  }
  return 0;
}
