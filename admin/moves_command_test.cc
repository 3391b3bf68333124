// How moves are shown.
#include "admin/moves_command.h"

#include <gtest/gtest.h>

namespace relais::admin {
namespace {

using nlohmann::json;

TEST(MovesCommand, Account) {
  const auto row = json::parse(
      R"({"address": "a@x.test", "stage": "tailing", "since": 1767225600, "platform": "old", "shard": 3, "wave": "old/canary", "error": "no way back",
    "attempts": 1, "failures": 0, "not_before": 1767225900, "verified": true, "messages": 10, "copied_messages": 12, "copied_octets": 2048,
    "last": {"appended": 1, "octets": 512, "flags": 2, "expunged": 3, "ms": 40}, "freezes_ms": [90, 200],
    "findings": [{"code": "unreadable", "weight": "red", "mailbox": "Sent", "uid": 4, "text": "cannot be read"}, {"code": "odd", "weight": "note", "text": "x"}]})");
  EXPECT_EQ(moves_text("migrate status", row),
            "address    a@x.test\n"
            "stage      tailing since 2026-01-01 00:00:00Z\n"
            "from       old\n"
            "to         shard 3\n"
            "wave       old/canary\n"
            "copied     12 messages, 2.0 KB; there are 10\n"
            "last pass  1 new (512 B), 2 flags, 3 gone, 40 ms\n"
            "verified   message by message\n"
            "freezes    90 ms, 200 ms\n"
            "failed     0 passes, 1 switches in a row; again at 2026-01-01 00:05:00Z\n"
            "because    no way back\n"
            "  red Sent UID 4 unreadable: cannot be read\n"
            "  note odd: x\n");
}

TEST(MovesCommand, Waves) {
  const auto status =
      json::parse(R"({"platforms": [{"platform": "old", "accounts": 5, "passwords": {"unknown": 2, "learned": 3, "set": 0}}],
    "waves": [{"wave": "old/canary", "state": "paused", "why": "2 of 9 accounts are stuck", "window": "01:00-06:00", "accounts": 9,
               "stages": {"native": 7, "stuck": 2}, "copied_messages": 70, "copied_octets": 1024, "freeze_ms": {"p50": 80, "p99": 95, "max": 95}, "troubled": 3,
               "troubles": [{"address": "a@x.test", "stage": "stuck", "error": "differs"}]}],
    "events": [{"time": 1767225600, "kind": "wave-paused", "subject": "old/canary", "text": "2 of 9 accounts are stuck"}], "running": 4})");
  EXPECT_EQ(moves_text("migrate status", status),
            "old: 5 accounts live there or came from there; passwords 3 learned, 2 unknown\n"
            "old/canary paused 2 of 9 accounts are stuck, switches 01:00-06:00: 9 accounts, 7 native, 2 stuck\n"
            "  70 messages copied, 1.0 KB; freeze p50 80 ms, p99 95 ms, longest 95 ms\n"
            "  a@x.test stuck: differs\n"
            "  and 2 more\n"
            "2026-01-01 00:00:00Z wave-paused old/canary: 2 of 9 accounts are stuck\n"
            "4 accounts are worked on now\n");
}

TEST(MovesCommand, Plan) {
  const auto plan =
      json::parse(R"({"waves": [{"wave": "old/wave-1", "accounts": 3, "wanted": 4}], "elsewhere": 1, "left_out": 2, "begun": 0})");
  EXPECT_EQ(moves_text("migrate plan", plan),
            "WAVE        ACCOUNTS  WANTED\n"
            "old/wave-1  3         4\n"
            "1 of the accounts named do not live there\n"
            "2 accounts are left out: their verdict is red, or they could not be read\n");
  EXPECT_EQ(moves_text("migrate plan", {{"waves", json::array()}}), "no account is left to be planned\n");
}

TEST(MovesCommand, Others) {
  EXPECT_EQ(moves_text("migrate start", {{"wave", "old/w"}, {"accounts", 3}, {"left_out", 0}}), "old/w started: 3 accounts\n");
  EXPECT_EQ(moves_text("migrate pause", {{"waves", {"a", "b"}}}), "a paused\nb paused\n");
  EXPECT_EQ(moves_text("migrate resume", {{"waves", json::array()}}), "nothing to do\n");
  EXPECT_EQ(moves_text("account list", json::object()), "") << "not one of these";
}

}  // namespace
}  // namespace relais::admin
