// The schema holds together: defaults parse, every option is reachable, docs/config.md is what the schema says.
#include "admin/settings.h"

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
}

TEST(Settings, TheReferencePageIsUpToDate) {
  std::ifstream file(RELAIS_SOURCE_DIR "/docs/config.md");
  std::stringstream page;
  page << file.rdbuf();
  EXPECT_EQ(page.str(), render_settings_reference()) << "run: relais config reference > docs/config.md";
}

}  // namespace
}  // namespace relais::admin
