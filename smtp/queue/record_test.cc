// The octets of queue keys and records, their order, and what is made of damaged ones.
#include "smtp/queue/record.h"

#include "base/encode.h"
#include "smtp/queue/rules.h"

#include <gtest/gtest.h>

#include <random>

namespace relais::smtp::queue {
namespace {

MessageRecord full_message() {
  MessageRecord record;
  record.content = storage::BlobId{0x0102030405060708};
  record.size = 300;
  record.open_jobs = 2;
  record.next_recipient = 3;
  record.arrival = 1767225600;
  record.expires = 1767657600;
  record.check = 1767240000;
  record.delay_at = 1767240000;
  record.deliver_by = 1767229200;
  record.by_mode = ByMode::notify;
  record.ret = Ret::headers;
  record.eight_bit = true;
  record.smtputf8 = true;
  record.by_trace = true;
  record.priority = -3;
  record.account = 7;
  record.trace_id = "k3-1";
  record.sender = "a@b.test";
  record.envelope_id = "QQ";
  record.hold_request = "for;60";
  record.client = "c [192.0.2.1]";
  record.message_id = "<m@b.test>";
  record.parent = "k2-9";
  return record;
}

JobRecord full_job() {
  JobRecord job;
  job.due = 1767225720;
  job.attempts = 1;
  job.priority = 3;
  job.once = {{7, 1}};
  job.recipients.push_back({.number = 0,
                            .state = RecipientState::relayed,
                            .notify = {Notify::kSuccess},
                            .turns = 0,
                            .reply = 0,
                            .address = "x@y.test",
                            .given = {},
                            .original = {}});
  job.recipients.push_back({.number = 2,
                            .state = RecipientState::open,
                            .notify = {},
                            .turns = 1,
                            .reply = 0,
                            .address = "z@y.test",
                            .given = "g@b.test",
                            .original = {"rfc822", "o@b.test"}});
  job.set_reply(job.recipients[0], {.code = 250, .remote = true, .time = 1767225600, .status = "2.0.0", .text = "250 ok", .host = "mx"});
  job.set_reply(job.recipients[1], {.code = 451, .remote = true, .time = 1767225600, .status = "4.0.0", .text = "451 no", .host = "mx"});
  return job;
}

struct Golden {
  const char* name;
  std::string octets;
  const char* hex;
};

// docs/format.md has these.
TEST(QueueFormat, Golden) {
  const std::vector<Golden> table{
      {"M", message_key(258), "4d0000000000000102"},
      {"J", job_key(258, "mx:y.test"), "4a00000000000001026d783a792e74657374"},
      {"H", held_key(258, "local"), "4800000000000001026c6f63616c"},
      {"F", forget_key(258, "local"), "4600000000000001026c6f63616c"},
      {"S", schedule_key("mx:y.test", {.priority = 2, .due = 1767225720, .id = 258}),
       "536d783a792e746573740002000000006955b9780000000000000102"},
      {"X", check_key(1767240000, 258), "58000000006955f1400000000000000102"},
      {"T", trace_key("k3-1", 258), "546b332d31000000000000000102"},
      {"message", encode(full_message()),
       "01010203040506070800450201fdac02020380f2d6ca0680a1f1ca06c0e2d7ca06c0e2d7ca06908ed7ca0607046b332d31086140622e74"
       "65737402515106666f723b36300d63205b3139322e302e322e315d0a3c6d40622e746573743e046b322d39"},
      {"job", encode(full_job()),
       "010003f8f2d6ca06010200fa0180f2d6ca0605322e302e3006323530206f6b026d7801c30180f2d6ca0605342e302e3006343531206e6f"
       "026d780100000000000000070001020001020001087840792e746573740000000200000102087a40792e74657374086740622e74657374"
       "06726663383232086f40622e74657374"},
      {"forget", encode(ForgetRecord{.once = "k3-1", .places = {{7, 1}}}), "01046b332d310100000000000000070001"},
  };
  for (const auto& row : table) EXPECT_EQ(to_hex(row.octets), row.hex) << row.name;
}

TEST(QueueFormat, RoundTrips) {
  EXPECT_EQ(decode_message(encode(full_message())), full_message());
  EXPECT_EQ(decode_job(encode(full_job())), full_job());
  auto encoded = encode(full_message());
  set_content(encoded, storage::BlobId{99});
  EXPECT_EQ(decode_message(encoded)->content, storage::BlobId{99});
  const ForgetRecord forget{.once = "a", .places = {{1, 2}, {3, 4}}};
  EXPECT_EQ(decode_forget(encode(forget)), forget);
}

TEST(QueueFormat, RepliesAreKeptOnceAndDroppedWithTheirLastRecipient) {
  JobRecord job;
  for (std::uint32_t i = 0; i < 100; ++i) {
    job.recipients.push_back(
        {.number = i, .state = RecipientState::open, .notify = {}, .turns = 0, .reply = 0, .address = "u", .given = {}, .original = {}});
    job.set_reply(job.recipients.back(), {.code = 450, .remote = true, .time = 1, .status = "4.2.0", .text = "450 later", .host = "mx"});
  }
  EXPECT_EQ(job.replies.size(), 1U);
  for (auto& recipient : job.recipients)
    job.set_reply(recipient, {.code = 451, .remote = true, .time = 2, .status = "4.2.0", .text = "451 no", .host = "mx"});
  EXPECT_EQ(job.replies.size(), 2U);
  const auto back = decode_job(encode(job)).value();
  ASSERT_EQ(back.replies.size(), 1U);
  EXPECT_EQ(back.reply_of(back.recipients[50])->text, "451 no");
}

TEST(QueueFormat, LongTextsAreCut) {
  JobRecord job;
  job.recipients.emplace_back();
  job.set_reply(job.recipients[0],
                {.code = 450, .remote = true, .time = 1, .status = "4.2.0", .text = std::string(5'000, 'x'), .host = "mx"});
  EXPECT_EQ(decode_job(encode(job))->replies[0].text.size(), kMaxStoredText);
}

// Whatever lies on disk, reading it ends with a record or an error.
TEST(QueueFormat, DamagedOctetsAreRefused) {
  std::mt19937 random(20'260'101);
  const struct {
    std::string octets;
    bool (*decodes)(std::string_view);
  } kinds[] = {{encode(full_message()), [](std::string_view octets) { return decode_message(octets).has_value(); }},
               {encode(full_job()), [](std::string_view octets) { return decode_job(octets).has_value(); }},
               {encode(ForgetRecord{.once = "k", .places = {{7, 1}}}), [](std::string_view octets) { return decode_forget(octets).has_value(); }}};
  for (const auto& [good, decodes] : kinds) {
    EXPECT_TRUE(decodes(good));
    for (std::size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(decodes(good.substr(0, size)));
    EXPECT_FALSE(decodes(good + 'x'));
    for (int i = 0; i < 20'000; ++i) {
      auto bad = good;
      for (int changes = 1 + static_cast<int>(random() % 3); changes > 0; --changes)
        bad[random() % bad.size()] = static_cast<char>(random());
      if (const auto job = decode_job(bad)) EXPECT_TRUE(decode_job(encode(*job)));
      if (const auto message = decode_message(bad)) EXPECT_TRUE(decode_message(encode(*message)));
      (void)decode_forget(bad);
    }
  }
  EXPECT_EQ(decode_message("\x02").error().fault, Fault::corrupt);
}

TEST(QueueFormat, ScheduleKeysSortByDestinationPriorityDueAndId) {
  const Position urgent{.priority = 0, .due = 500, .id = 9};
  const Position early{.priority = 2, .due = 100, .id = 9};
  const Position late{.priority = 2, .due = 100'000'000'000, .id = 1};
  EXPECT_LT(schedule_key("mx:a.test", urgent), schedule_key("mx:a.test", early));
  EXPECT_LT(schedule_key("mx:a.test", early), schedule_key("mx:a.test", late));
  EXPECT_LT(schedule_key("mx:a.test", late), schedule_after("mx:a.test"));
  EXPECT_LT(schedule_after("mx:a.test"), schedule_key("mx:a.test.example", urgent));
  EXPECT_LT(schedule_begin(), schedule_key("local", urgent));
  EXPECT_LT(schedule_key("\xFF", late), after_prefix(schedule_begin()));
  const auto key = schedule_key("mx:a.test", late);
  const auto parsed = parse_schedule_key(key);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->destination, "mx:a.test");
  EXPECT_EQ(parsed->position, late);
}

TEST(QueueFormat, KeysAreReadBack) {
  EXPECT_EQ(parse_message_key(message_key(77)), 77U);
  EXPECT_EQ(parse_trace_key(trace_key("abc", 77)), 77U);
  const auto job = job_key(77, "local");
  EXPECT_EQ(parse_job_key(job)->id, 77U);
  EXPECT_EQ(parse_job_key(job)->destination, "local");
  EXPECT_EQ(parse_check_key(check_key(5, 77))->time, 5);
  for (const std::string bad : {"", "S", "M1234567", "J12345678", "X1", "T", "Q0000000000000000000"}) {
    EXPECT_FALSE(parse_schedule_key(bad)) << bad;
    EXPECT_FALSE(parse_message_key(bad)) << bad;
    EXPECT_FALSE(parse_job_key(bad)) << bad;
    EXPECT_FALSE(parse_check_key(bad)) << bad;
  }
}

TEST(QueueRules, PausesGrowToTheLongest) {
  const RetrySchedule schedule{.first = std::chrono::seconds(60), .longest = std::chrono::seconds(600), .factor = 2.0, .jitter = 0.2};
  const std::vector<std::pair<std::uint32_t, int>> table{{1, 60'000},  {2, 120'000}, {3, 240'000},
                                                         {4, 480'000}, {5, 600'000}, {1'000'000, 600'000}};
  for (const auto& [n, middle] : table) {
    EXPECT_EQ(schedule.pause(n, 0.5).count(), middle) << n;
    EXPECT_EQ(schedule.pause(n, 0.0).count(), middle * 8 / 10) << n;
    EXPECT_LE(schedule.pause(n, 0.999).count(), middle * 12 / 10) << n;
  }
}

TEST(QueueRules, TheClosestOverrideHolds) {
  std::vector<Override> overrides;
  overrides.push_back({.match = "Example.net", .concurrency = 3});
  overrides.push_back({.match = "*.example.net", .concurrency = 4, .rate = 60});
  overrides.push_back({.match = "*.deep.example.net", .concurrency = 5});
  overrides.push_back({.match = "smtp:relay.test:25", .concurrency = 6});
  overrides.push_back({.match = "local", .concurrency = 7});
  const Rules rules(Rule{}, Rules::local_rule(), std::move(overrides));
  const std::vector<std::pair<const char*, std::uint32_t>> table{{"mx:example.net", 3},      {"mx:a.example.net", 4},
                                                                 {"mx:a.b.example.net", 4},  {"mx:a.deep.example.net", 5},
                                                                 {"mx:deep.example.net", 4}, {"mx:example.org", 20},
                                                                 {"mx:notexample.net", 20},  {"smtp:relay.test:25", 6},
                                                                 {"smtp:other.test:25", 20}, {"local", 7},
                                                                 {"account:5", 32}};
  for (const auto& [destination, concurrency] : table) EXPECT_EQ(rules.of(destination).concurrency, concurrency) << destination;
  EXPECT_EQ(rules.of("mx:a.example.net").rate, 60U);
  EXPECT_EQ(rules.find("mx:example.org"), nullptr);
}

}  // namespace
}  // namespace relais::smtp::queue
