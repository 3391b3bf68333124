// Legacy platforms as administrators write them.
#include "directory/legacy.h"

#include <gtest/gtest.h>

namespace relais::directory {
namespace {

using Tls = LegacyService::Tls;

LegacyPlatform platform() {
  LegacyPlatform made;
  made.name = "old";
  made.imap = {.host = "imap.old.example", .port = 993, .tls = Tls::implicit};
  return made;
}

TEST(Legacy, ServicesFromText) {
  struct Case {
    std::string text;
    std::string tls;
    std::string host;
    std::uint16_t port;
    Tls mode;
  };
  const Case cases[] = {
      {"imap.Old.Example:993", "", "imap.old.example", 993, Tls::implicit},
      {"imap.old.example:143", "", "imap.old.example", 143, Tls::starttls},
      {"pop.old.example:995", "", "pop.old.example", 995, Tls::implicit},
      {"192.0.2.1:465", "", "192.0.2.1", 465, Tls::implicit},
      {"[2001:DB8::1]:24", "none", "2001:db8::1", 24, Tls::none},
      {"b\xC3\xBC"
       "cher.example:143",
       "STARTTLS", "xn--bcher-kva.example", 143, Tls::starttls},
      {"127.0.0.1:24,none", "implicit", "127.0.0.1", 24, Tls::none},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    const auto service = parse_legacy_service(c.text, c.tls);
    ASSERT_TRUE(service) << service.error().text;
    EXPECT_EQ(service->host, c.host);
    EXPECT_EQ(service->port, c.port);
    EXPECT_EQ(service->tls, c.mode);
    EXPECT_TRUE(service->verify);
    EXPECT_EQ(parse_legacy_service(address_text(*service), to_string(service->tls)).value(), *service);
  }
  for (const auto* bad :
       {"", "imap.old.example", "imap.old.example:0", "imap.old.example:70000", "a b:1", "[::1:1", "host:143,tls", "host:143,"}) {
    SCOPED_TRACE(bad);
    const auto service = parse_legacy_service(bad, "");
    if (std::string_view(bad) == "host:143,") {
      EXPECT_TRUE(service);  // nothing behind the comma: by the port
      continue;
    }
    ASSERT_FALSE(service);
    EXPECT_EQ(service.error().fault, Fault::syntax);
    EXPECT_FALSE(service.error().text.empty());
  }
}

TEST(Legacy, PlatformsAreChecked) {
  EXPECT_TRUE(check_platform(platform()));
  const std::pair<std::string, void (*)(LegacyPlatform&)> bad[] = {
      {"no name", [](LegacyPlatform& p) { p.name.clear(); }},
      {"upper case", [](LegacyPlatform& p) { p.name = "Old"; }},
      {"long name", [](LegacyPlatform& p) { p.name = std::string(65, 'a'); }},
      {"colon", [](LegacyPlatform& p) { p.name = "a:b"; }},
      {"nothing to read by", [](LegacyPlatform& p) { p.imap = {}; }},
      {"no port", [](LegacyPlatform& p) { p.imap.port = 0; }},
      {"host", [](LegacyPlatform& p) { p.delivery = {.host = "a b", .port = 24}; }},
      {"host as it is not kept", [](LegacyPlatform& p) { p.pop3 = {.host = "POP.example", .port = 110}; }},
      {"user format", [](LegacyPlatform& p) { p.user_format = "%d"; }},
      {"user format with a line end", [](LegacyPlatform& p) { p.user_format = "%u\r\n"; }},
      {"relative file", [](LegacyPlatform& p) { p.ca_file = "ca.pem"; }},
      {"master without a way", [](LegacyPlatform& p) { p.master.user = "m"; }},
      {"master without a user", [](LegacyPlatform& p) { p.master = {LegacyMaster::Way::authzid, "", "pw", ""}; }},
      {"master without a password", [](LegacyPlatform& p) { p.master = {LegacyMaster::Way::authzid, "m", "", ""}; }},
      {"master password of two lines", [](LegacyPlatform& p) { p.master = {LegacyMaster::Way::authzid, "m", "p\nw", ""}; }},
      {"format without the user", [](LegacyPlatform& p) { p.master = {LegacyMaster::Way::format, "m", "pw", "%m"}; }},
      {"format and another way", [](LegacyPlatform& p) { p.master = {LegacyMaster::Way::cyrus, "m", "pw", "%u*%m"}; }},
  };
  for (const auto& [what, spoil] : bad) {
    SCOPED_TRACE(what);
    auto spoilt = platform();
    spoil(spoilt);
    const auto checked = check_platform(spoilt);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().fault, Fault::syntax);
    EXPECT_FALSE(checked.error().text.contains("pw")) << "a secret is never shown";
  }
  auto with_master = platform();
  with_master.master = {LegacyMaster::Way::format, "master", "pw", "%u*%m"};
  EXPECT_TRUE(check_platform(with_master));
}

TEST(Legacy, UserNames) {
  EXPECT_EQ(expand_user("%u", "ann@example.org"), "ann@example.org");
  EXPECT_EQ(expand_user("%n", "ann@example.org"), "ann");
  EXPECT_EQ(expand_user("%n.%d", "ann@example.org"), "ann.example.org");
  EXPECT_EQ(expand_user("%u*%m", "ann", "master"), "ann*master");
  EXPECT_EQ(expand_user("100%%%x%", "ann"), "100%%x%");
  EXPECT_EQ(expand_user("%d", "ann"), "");
  auto old = platform();
  old.user_format = "%n";
  EXPECT_EQ(legacy_user(old, {}, "ann@example.org"), "ann");
  EXPECT_EQ(legacy_user(old, {.platform = "old", .user = "a17"}, "ann@example.org"), "a17");
}

}  // namespace
}  // namespace relais::directory
