// The schema holds together: defaults parse, every option is reachable, docs/config.md is what the schema says.
#include "admin/settings.h"

#include "net/address.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace relais::admin {
namespace {

TEST(Settings, WhatDefaultsPrintsIsAValidFile) {
  const auto values = config::parse(settings_schema(), render_default_settings(), "defaults");
  ASSERT_TRUE(values) << values.error().text;
  EXPECT_EQ(values->integer("listen.imap"), 143);
}

TEST(Settings, EveryOptionComesFromAKeyThatExists) {
  const auto values = config::defaults(settings_schema());
  ASSERT_TRUE(values);
  net::WorkerPool pool(1, 1);
  EXPECT_EQ(directory_options(*values, "/p").path, "/p/data/directory");
  EXPECT_EQ(store_options(*values, "/p", pool).shards, 4);
  EXPECT_EQ(smtp_options(*values, "/p", smtp::Service::lmtp).max_message_octets, 50U << 20);
  EXPECT_EQ(smtp_options(*values, "/p", smtp::Service::mx).spool_directory, "/p/data/spool");
  EXPECT_EQ(imap_options(*values, "/p").spool_directory, "/p/data/spool");
  EXPECT_GE(imap_options(*values, "/p").idle_limit, std::chrono::minutes(30));
  EXPECT_GE(pop_options(*values).idle_limit, std::chrono::minutes(10));
  EXPECT_FALSE(host_name(*values).empty());
  EXPECT_EQ(certificate_files(*values, "/p").front().key, "/p/tls/key.pem");
  EXPECT_EQ(log_level(*values), log::Level::info);
  rate_limits(*values);
  delivery_options(*values);
  EXPECT_EQ(sending_limits(*values).messages_hour, 300U);
  EXPECT_EQ(queue_options(*values).lifetime, std::chrono::hours(5 * 24));
  EXPECT_EQ(queue_storage(*values, "/p", pool).path, "/p/data");
  const auto small = config::parse(settings_schema(), "[storage]\nmin_free = \"8MB\"\nsegment_size = \"2MB\"\n", "test");
  EXPECT_EQ(queue_storage(*small, "/p", pool).engine.min_free, 8ULL << 20);
  EXPECT_EQ(queue_storage(*small, "/p", pool).engine.segment_size, 2ULL << 20);
  EXPECT_EQ(queue_rules(*values).of("mx:example.net").concurrency, 20U);
  EXPECT_EQ(outbound_options(*values).mx_port, 25);
  EXPECT_EQ(resolver_settings(*values).resolv_conf, "/etc/resolv.conf");
  EXPECT_EQ(trace_options(*values, "/p").directory, "/p/data/trace");
  EXPECT_TRUE(check_settings(*values));
}

TEST(Settings, OurAddressesInMxRecords) {
  const auto of = [](std::string_view text) {
    const auto values = config::parse(settings_schema(), text, "file");
    return values ? outbound_options(*values).our_addresses : std::vector<std::string>{"not read"};
  };
  EXPECT_EQ(of("[listen]\naddress = \"192.0.2.1\"\n"), std::vector<std::string>{"192.0.2.1"});
  EXPECT_EQ(of("[listen]\naddress = \"2001:DB8:0::1\"\n"), std::vector<std::string>{"2001:db8::1"});
  EXPECT_EQ(of("[listen]\naddress = \"0.0.0.0\"\n"), net::interface_addresses());
  EXPECT_EQ(of("[listen]\naddress = \"192.0.2.1\"\nsmtp = 10025\n"), std::vector<std::string>{});  // others reach something else at port 25
}

TEST(Settings, TablesOfDestinations) {
  const auto values = config::parse(settings_schema(),
                                    "[[destination]]\nmatch = \"example.net\"\nconcurrency = 3\nfirst_retry = \"30s\"\ntls = \"encrypt\"\n",
                                    "file");
  ASSERT_TRUE(values) << values.error().text;
  const auto rules = queue_rules(*values);
  EXPECT_EQ(rules.of("mx:example.net").concurrency, 3U);
  EXPECT_EQ(rules.of("mx:example.net").retry.first, std::chrono::seconds(30));
  EXPECT_EQ(rules.of("mx:example.net").messages_per_connection, 100U);
  EXPECT_EQ(rules.find("mx:example.net")->tls, "encrypt");
  EXPECT_EQ(rules.of("mx:other.net").concurrency, 20U);
}

TEST(Settings, WhatTheSchemaCannotSayIsCheckedToo) {
  for (const auto* text : {"[smtp]\nrelay_from = [\"192.0.2.1/24\"]\n", "[smtp]\nrelay_from = [\"nowhere\"]\n"}) {
    const auto values = config::parse(settings_schema(), text, "file");
    ASSERT_TRUE(values) << text;
    EXPECT_FALSE(check_settings(*values)) << text;
  }
}

TEST(Settings, TheReferencePageIsUpToDate) {
  std::ifstream file(RELAIS_SOURCE_DIR "/docs/config.md");
  std::stringstream page;
  page << file.rdbuf();
  EXPECT_EQ(page.str(), render_settings_reference()) << "run: relais config reference > docs/config.md";
}

}  // namespace
}  // namespace relais::admin
