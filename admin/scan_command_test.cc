// How a platform's inventory is shown.
#include "admin/scan_command.h"

#include <gtest/gtest.h>

namespace relais::admin {
namespace {

using nlohmann::json;

json result() {
  return json::parse(R"({"platform": "old", "stopped": false, "accounts": [
    {"address": "a@x.test", "verdict": "red", "mailboxes": 2, "messages": 7, "octets": 1536, "largest_octets": 900, "messages_per_day": 0.3, "octets_per_day": 54,
     "copy_seconds": 75.25, "freeze_ms": 61, "source": "QRESYNC, LIST-STATUS",
     "findings": [{"code": "too-large", "weight": "red", "mailbox": "Sent", "uid": 4, "text": "cannot be carried"},
                  {"code": "too-large", "weight": "red", "mailbox": "Old", "text": "cannot be carried"},
                  {"code": "slow-delta", "weight": "note", "text": "slow"}]},
    {"address": "b@x.test", "verdict": "green", "mailboxes": 1, "messages": 0, "octets": 0, "largest_octets": 0, "messages_per_day": 0.0, "octets_per_day": 0,
     "copy_seconds": null, "freeze_ms": 50, "source": "plain IMAP", "findings": []}],
    "failed": [{"address": "c@x.test", "error": "login refused, \"no\""}],
    "totals": {"accounts": 2, "failed": 1, "green": 1, "amber": 0, "red": 1, "mailboxes": 3, "messages": 7, "octets": 1536, "messages_per_day": 0.3,
               "octets_per_day": 54, "longest_freeze_ms": 61, "copy_seconds": 0.25, "findings": {"too-large": 1}}})");
}

TEST(ScanCommand, Text) {
  EXPECT_EQ(scan_text(result()),
            "ADDRESS          MAILBOXES  MESSAGES  SIZE    PER DAY  COPY  FREEZE  WHAT\n"
            "a@x.test  red    2          7         1.5 KB  0.3      1m    61 ms   too-large, slow-delta\n"
            "b@x.test  green  1          0         0 B     0.0      -     50 ms   \n"
            "\n"
            "a@x.test: red Sent UID 4: cannot be carried\n"
            "a@x.test: red Old: cannot be carried\n"
            "c@x.test: not read: login refused, \"no\"\n"
            "2 accounts: 1 green, 0 amber, 1 red; 1 not read\n"
            "7 messages in 3 mailboxes, 1.5 KB; 0 messages and 54 B come per day\n"
            "copying takes about 250 ms of reading, the longest freeze about 61 ms\n");
}

TEST(ScanCommand, NobodyLivesThere) {
  const json nothing{{"accounts", json::array()}, {"failed", json::array()}, {"totals", {{"accounts", 0}, {"failed", 0}}}};
  EXPECT_TRUE(scan_text(nothing).starts_with("no account lives there"));
}

TEST(ScanCommand, Csv) {
  EXPECT_EQ(
      scan_csv(result()),
      "address,verdict,mailboxes,messages,octets,largest_octets,messages_per_day,octets_per_day,copy_seconds,freeze_ms,source,findings\r\n"
      "a@x.test,red,2,7,1536,900,0.3,54,75.250,61,\"QRESYNC, LIST-STATUS\",too-large slow-delta\r\n"
      "b@x.test,green,1,0,0,0,0.0,0,,50,plain IMAP,\r\n"
      "c@x.test,failed,,,,,,,,,,\"login refused, \"\"no\"\"\"\r\n");
}

}  // namespace
}  // namespace relais::admin
