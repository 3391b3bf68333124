// Numeric addresses and networks.
#include "net/address.h"

#include <gtest/gtest.h>

namespace relais::net {
namespace {

TEST(Network, ContainsWhatSharesItsPrefix) {
  struct Case {
    const char* network;
    const char* address;
    bool inside;
  };
  for (const auto& [text, address, inside] : {Case{"192.0.2.0/24", "192.0.2.255", true}, Case{"192.0.2.0/24", "192.0.3.0", false},
                                              Case{"192.0.2.0/24", "::ffff:192.0.2.9", true}, Case{"192.0.2.128/25", "192.0.2.127", false},
                                              Case{"192.0.2.128/25", "192.0.2.129", true}, Case{"10.0.0.1", "10.0.0.1", true},
                                              Case{"10.0.0.1", "10.0.0.2", false}, Case{"0.0.0.0/0", "203.0.113.7", true},
                                              Case{"0.0.0.0/0", "2001:db8::1", false}, Case{"2001:db8::/32", "2001:db8:ffff::1", true},
                                              Case{"2001:db8::/32", "2001:db9::1", false}, Case{"::1", "::1", true}, Case{"::/0", "2001:db8::1", true},
                                              Case{"192.0.2.0/24", "not an address", false}}) {
    const auto network = parse_network(text);
    ASSERT_TRUE(network) << text;
    EXPECT_EQ(network->contains(address), inside) << text << " " << address;
  }
}

TEST(InterfaceAddresses, AreNumericAndReachableFromElsewhere) {
  for (const auto& address : interface_addresses()) {
    EXPECT_TRUE(parse_address(address, 0)) << address;
    EXPECT_FALSE(is_loopback(address)) << address;
    EXPECT_FALSE(address.starts_with("fe80:")) << address;
  }
}

TEST(Network, RefusesWhatIsNone) {
  for (const auto* text : {"", "/8", "192.0.2.1/24", "192.0.2.0/33", "192.0.2.0/", "192.0.2.0/-1", "2001:db8::/129", "2001:db8::1/64", "host.example/24"}) {
    EXPECT_FALSE(parse_network(text)) << text;
  }
}

}  // namespace
}  // namespace relais::net
