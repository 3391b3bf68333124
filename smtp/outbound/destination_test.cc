// Destinations as text and back; routes.
#include "smtp/outbound/destination.h"

#include <gtest/gtest.h>

namespace relais::smtp {
namespace {

using Kind = Destination::Kind;

TEST(Destination, TextAndBack) {
  const struct {
    Destination destination;
    const char* text;
  } cases[] = {{{Kind::mx, "example.net", 0}, "mx:example.net"},
               {{Kind::mx, "[192.0.2.1]", 0}, "mx:[192.0.2.1]"},
               {{Kind::smtp, "relay.example", 2525}, "smtp:relay.example:2525"},
               {{Kind::lmtp, "2001:db8::1", 24}, "lmtp:[2001:db8::1]:24"},
               {{Kind::smtp, "192.0.2.1", 25}, "smtp:192.0.2.1:25"},
               {{Kind::legacy, "old", 0}, "legacy:old"},
               {{Kind::account, "17", 0}, "account:17"},
               {{Kind::local, "", 0}, "local"}};
  for (const auto& c : cases) {
    EXPECT_EQ(to_string(c.destination), c.text);
    EXPECT_EQ(parse_destination(c.text).value(), c.destination);
  }
  for (const auto* const bad : {"", "mx:", "mx", "smtp:host", "smtp::25", "smtp:host:0", "smtp:host:65536", "smtp:host:x",
                                "smtp:2001:db8::1:25", "account:x", "account:", "legacy:", "locals", "mx:a b", "mx:a\n", "http:host:80"})
    EXPECT_FALSE(parse_destination(bad)) << bad;
}

TEST(Destination, OfRoutes) {
  directory::Route route;
  route.domain = "example.net";
  EXPECT_EQ(to_string(destination_of(route, "example.net")), "mx:example.net");
  route.host = "other.example";
  EXPECT_EQ(to_string(destination_of(route, "example.net")), "mx:other.example");
  route.kind = directory::Route::Kind::smtp;
  route.port = 587;
  EXPECT_EQ(to_string(destination_of(route, "example.net")), "smtp:other.example:587");
  route.kind = directory::Route::Kind::lmtp;
  EXPECT_EQ(to_string(destination_of(route, "example.net")), "lmtp:other.example:587");
}

TEST(Destination, RulesOfRoutes) {
  directory::Route route;
  EXPECT_FALSE(rule_of(route).tls);
  EXPECT_FALSE(rule_of(route).auth);
  route.tls = directory::RouteTls::encrypt;
  route.user = "us";
  route.password = "secret";
  EXPECT_EQ(rule_of(route).tls, TlsLevel::encrypt);
  EXPECT_EQ(rule_of(route).auth->password, "secret");
}

TEST(TlsLevels, Names) {
  for (const auto level : {TlsLevel::none, TlsLevel::may, TlsLevel::encrypt, TlsLevel::verify})
    EXPECT_EQ(parse_tls_level(to_string(level)), level);
  EXPECT_FALSE(parse_tls_level("dane"));
  EXPECT_FALSE(parse_tls_level(""));
}

}  // namespace
}  // namespace relais::smtp
