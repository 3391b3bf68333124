// The PROXY protocol's header, octet by octet.
#include "net/proxy_header.h"

#include "base/encode.h"

#include <gtest/gtest.h>

namespace relais::net {
namespace {

constexpr std::string_view kSignature = "0d0a0d0a000d0a515549540a";

TEST(ProxyHeader, Octets) {
  struct Row {
    const char* what;
    Endpoints client;
    std::string header;  // behind the signature
  };
  const std::vector<Row> rows{
      {"IPv4", {"192.0.2.7", 40000, "198.51.100.1", 143}, "2111000cc0000207c63364019c40008f"},
      {"IPv6", {"2001:db8::7", 1, "2001:db8::1", 993}, "2121002420010db800000000000000000000000720010db8000000000000000000000001000103e1"},
      {"two families", {"2001:db8::7", 1, "192.0.2.1", 993}, "20000000"},
      {"none", {}, "20000000"},
  };
  for (const auto& row : rows) EXPECT_EQ(to_hex(proxy_header(row.client)), std::string(kSignature) + row.header) << row.what;
}

}  // namespace
}  // namespace relais::net
