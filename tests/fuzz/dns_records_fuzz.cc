// RDATA parsers: what is accepted makes the same octets again, and names are within their limits.
#include "net/dns_records.h"

#include <cstdlib>

using namespace relais::net;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view in{reinterpret_cast<const char*>(data), size};
  if (const auto a = parse_a(in); a && make_a(*a).value() != in) std::abort();
  if (const auto aaaa = parse_aaaa(in); aaaa && make_aaaa(*aaaa).value() != in) std::abort();
  if (const auto tlsa = parse_tlsa(in); tlsa && make_tlsa(*tlsa) != in) std::abort();
  if (const auto txt = parse_txt(in); txt && parse_txt(make_txt(*txt)).value() != *txt) std::abort();
  // Upper case becomes lower, so octets may differ once.
  if (const auto name = parse_name(in)) {
    const auto again = make_name(*name);
    if (!again || again->size() != in.size() || parse_name(*again).value() != *name) std::abort();
    if (name->empty() && is_host_name(*name)) std::abort();
  }
  if (const auto mx = parse_mx(in)) {
    const auto again = make_mx(*mx);
    if (!again || again->size() != in.size() || parse_mx(*again).value() != *mx) std::abort();
  }
  const auto made = make_name(in);
  if (is_host_name(in) && !made) std::abort();
  if (made && made->size() > kMaxDnsName) std::abort();
  return 0;
}
