// HTTP responses: the same answer however the octets are cut, never more than the limits.
#include "net/http_response.h"

#include <cstdlib>

using namespace relais::net;

namespace {

constexpr std::size_t kMaxBody = 1000;

// What came of it, as text.
std::string parse(std::string_view octets, std::size_t piece) {
  HttpResponseParser parser(kMaxBody);
  bool whole = false;
  for (std::size_t at = 0; at < octets.size() && !whole; at += piece) {
    const auto fed = parser.feed(octets.substr(at, piece));
    if (parser.response().body.size() > kMaxBody) std::abort();
    if (!fed) return fed.error().text + fed.error().code;
    whole = *fed;
  }
  if (!whole && !parser.end()) return "unfinished";
  const auto& response = parser.response();
  if (response.status < 200 || response.status > 599) std::abort();
  return std::to_string(response.status) + response.content_type + "\n" + response.body;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view in{reinterpret_cast<const char*>(data) + 1, size - 1};
  const auto whole = parse(in, in.size() + 1);
  if (whole != parse(in, data[0] + 1U) || whole != parse(in, 1)) std::abort();
  return 0;
}
