// Dialogues with scripted hosts: what goes right, and every fault that a host can have.
#include "smtp/client/testing.h"

#include <gtest/gtest.h>

namespace relais::smtp {
namespace {

using testing::message_to;
using testing::options_for;
using testing::run;
using testing::ScriptedHost;
using testing::summary;

constexpr std::string_view kText = "Subject: x\r\n\r\n.dot\r\n";
constexpr std::string_view kHello = R"(
  S: 220 mx.test ESMTP
  C: EHLO us.test
  S: 250-mx.test
  S: 250-PIPELINING
  S: 250-SIZE 1000
  S: 250-ENHANCEDSTATUSCODES
  S: 250 8BITMIME
)";
constexpr std::string_view kEnvelope = R"(
  C: MAIL FROM:<from@us.test> SIZE=20
  C: RCPT TO:<a@mx.test>
  C: DATA
)";
constexpr std::string_view kPlain = R"(
  S: 220 mx.test
  C: EHLO us.test
  S: 250 mx.test
)";

std::string script(std::initializer_list<std::string_view> pieces) {
  std::string out;
  for (const auto piece : pieces) out += piece;
  return out;
}

std::string send_one(const ScriptedHost& host, const std::vector<std::string>& recipients = {"a@mx.test"}, std::string_view text = kText) {
  MemoryContent content(text);
  return run(options_for(host), {message_to(content, recipients)}).all();
}

TEST(Client, Pipelined) {
  for (const bool octets : {false, true}) {
    ScriptedHost host({script({kHello, kEnvelope, R"(
      S: 250 2.1.0 ok
      S: 250 2.1.5 ok
      S: 354 go
      DATA
      S: 250-2.0.0 queued
      S: 250 2.0.0 as 1
      C: QUIT
      S: 221 bye)"})},
                      nullptr, octets);
    MemoryContent content(kText);
    const auto ran = run(options_for(host), {message_to(content, {"a@mx.test"})});
    EXPECT_EQ(ran.all(), "delivered 2.0.0 end of DATA | usable");
    EXPECT_EQ(ran.outcomes.at(0).recipients.at(0).line(), "250 2.0.0 queued as 1 (in reply to end of DATA)");
    EXPECT_EQ(ran.outcomes.at(0).octets, kText.size());
    EXPECT_EQ(host.errors(), "");
    EXPECT_EQ(host.contents().at(0), "Subject: x\r\n\r\n..dot\r\n.\r\n");
  }
}

TEST(Client, OneCommandAtATimeAndHelo) {
  ScriptedHost host({R"(
    S: 220-mx.test
    S: 220 old
    C: EHLO us.test
    S: 502 what
    C: HELO us.test
    S: 250 mx.test
    C: MAIL FROM:<from@us.test>
    S: 250 ok
    C: RCPT TO:<a@mx.test>
    S: 250 ok
    C: RCPT TO:<b@mx.test>
    S: 550 no
    C: RCPT TO:<c@mx.test>
    S: 450 4.2.0 later
    C: DATA
    S: 354
    DATA
    S: 250
    C: QUIT)"});
  EXPECT_EQ(send_one(host, {"a@mx.test", "b@mx.test", "c@mx.test"}),
            "delivered 2.0.0 end of DATA; permanent 5.0.0 RCPT; temporary 4.2.0 RCPT | usable");
  EXPECT_EQ(host.errors(), "");
}

TEST(Client, Chunking) {
  ScriptedHost host({R"(
    S: 220 mx.test
    C: EHLO us.test
    S: 250-mx.test
    S: 250-PIPELINING
    S: 250 CHUNKING
    C: MAIL FROM:<from@us.test>
    C: RCPT TO:<a@mx.test>
    S: 250 ok
    S: 250 ok
    C: BDAT 20 LAST
    DATA
    S: 250 2.6.0 done
    C: MAIL FROM:<from@us.test>
    C: RCPT TO:<a@mx.test>
    S: 250 ok
    S: 250 ok
    C: BDAT 0 LAST
    DATA
    S: 554 empty
    C: RSET
    C: MAIL FROM:<from@us.test>
    C: RCPT TO:<a@mx.test>
    S: 250 ok
    S: 250 ok
    S: 550 5.1.1 no
    C: QUIT)"});
  MemoryContent content({kText.substr(0, 5), {}, kText.substr(5)});
  MemoryContent empty("");
  EXPECT_EQ(
      run(options_for(host), {message_to(content, {"a@mx.test"}), message_to(empty, {"a@mx.test"}), message_to(content, {"a@mx.test"})})
          .all(),
      "delivered 2.6.0 end of DATA | usable\npermanent 5.0.0 end of DATA | usable\npermanent 5.1.1 RCPT | usable");
  EXPECT_EQ(host.errors(), "");
  EXPECT_EQ(host.contents().at(0), kText);
}

TEST(Client, NobodyWantsIt) {
  // RFC 2920 §3.1: DATA was sent ahead.
  for (const std::string_view end : {"S: 503 no recipients\n", "S: 354 go\nDATA\nS: 554 none\n", "S: 354 go\nDATA\nS: 250 why not\n"}) {
    ScriptedHost host({script({kHello, R"(
      C: MAIL FROM:<from@us.test> SIZE=20
      C: RCPT TO:<a@mx.test>
      C: RCPT TO:<b@mx.test>
      C: DATA
      S: 250 ok
      S: 550 5.1.1 no
      S: 450 4.2.1 not now
      )",
                               end,
                               "C: RSET\nC: MAIL FROM:<from@us.test> SIZE=20\nC: RCPT TO:<c@mx.test>\nC: DATA\nS: 250\nS: 250\nS: 250\nS: "
                               "354\nDATA\nS: 250\nC: QUIT"})});
    MemoryContent content(kText);
    EXPECT_EQ(run(options_for(host), {message_to(content, {"a@mx.test", "b@mx.test"}), message_to(content, {"c@mx.test"})}).all(),
              "permanent 5.1.1 RCPT; temporary 4.2.1 RCPT | usable\ndelivered 2.0.0 end of DATA | usable");
    EXPECT_EQ(host.errors(), "");
  }
}

TEST(Client, TheMessageIsRefused) {
  struct Row {
    std::string_view replies;  // to MAIL, RCPT, RCPT, DATA and what follows
    std::string expected;
  };
  const std::string both = " | usable";
  for (const auto& row : std::vector<Row>{
           {"S: 550 5.7.1 no\nS: 503 5.5.1 x\nS: 503 5.5.1 x\nS: 503 5.5.1 x\n", "permanent 5.7.1 MAIL; permanent 5.7.1 MAIL | usable"},
           {"S: 452 4.3.1 full\nS: 503 x\nS: 503 x\nS: 503 x\n", "temporary 4.3.1 MAIL; temporary 4.3.1 MAIL | usable"},
           {"S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 451 4.3.0 no\n", "temporary 4.3.0 DATA; temporary 4.3.0 DATA | usable"},
           {"S: 250 ok\nS: 250 ok\nS: 550 5.1.1 no\nS: 554 5.6.0 no\n", "permanent 5.6.0 DATA; permanent 5.1.1 RCPT | usable"},
           {"S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\nDATA\nS: 554 5.7.1 spam\n",
            "permanent 5.7.1 end of DATA; permanent 5.7.1 end of DATA | usable"},
           {"S: 250 ok\nS: 550 5.1.1 no\nS: 250 ok\nS: 354 go\nDATA\nS: 451 later\n",
            "permanent 5.1.1 RCPT; temporary 4.0.0 end of DATA | usable"},
           {"S: 250 ok\nS: 251 will forward\nS: 252 perhaps\nS: 354 go\nDATA\nS: 250 ok\n",
            "delivered 2.0.0 end of DATA; delivered 2.0.0 end of DATA | usable"},
           {"S: 354 ok\nS: 250 ok\nS: 250 ok\nS: 503 x\n", "temporary 4.5.0 MAIL; temporary 4.5.0 MAIL | usable"},
           {"S: 250 ok\nS: 552 5.2.2 over quota\nS: 452 4.2.2 full\nS: 503 x\n", "permanent 5.2.2 RCPT; temporary 4.2.2 RCPT | usable"},
       }) {
    ScriptedHost host(
        {script({kHello, "C: MAIL*\nC: RCPT TO:<a@mx.test>\nC: RCPT TO:<b@mx.test>\nC: DATA\n", row.replies, "C: QUIT\nS: 221 bye"})});
    EXPECT_EQ(send_one(host, {"a@mx.test", "b@mx.test"}), row.expected) << row.replies;
    EXPECT_EQ(host.errors(), "") << row.replies;
  }
}

TEST(Client, AnsweredWith421) {
  struct Row {
    std::string script;
    std::string expected;
  };
  for (const auto& row : std::vector<Row>{
           {"S: 421 4.3.2 closing", "not connected: temporary 4.3.2 greeting"},
           {"S: 220 x\nC: EHLO*\nS: 421 no", "not connected: temporary 4.0.0 EHLO"},
           {script({kHello, kEnvelope, "S: 421 4.7.0 x"}), "temporary 4.7.0 MAIL | trouble"},
           {script({kHello, kEnvelope, "S: 250\nS: 421 4.7.0 x"}), "temporary 4.7.0 RCPT | trouble"},
           {script({kHello, kEnvelope, "S: 250\nS: 250\nS: 421 4.7.0 x"}), "temporary 4.7.0 DATA | trouble"},
           {script({kHello, kEnvelope, "S: 250\nS: 250\nS: 354\nDATA\nS: 421 4.7.0 x"}), "temporary 4.7.0 end of DATA | trouble"},
       }) {
    ScriptedHost host({row.script});
    EXPECT_EQ(send_one(host), row.expected) << row.script;
    EXPECT_EQ(host.errors(), "") << row.script;
  }
}

TEST(Client, GreetingsThatAreNone) {
  struct Row {
    std::string_view greeting;
    std::string expected;
    std::string line;
  };
  for (const auto& row : std::vector<Row>{
           {"554 5.7.1 blocked", "not connected: temporary 4.7.1 greeting", "554 5.7.1 blocked (in the greeting)"},
           {"521 no mail here", "not connected: permanent 5.0.0 greeting", "521 no mail here (in the greeting)"},
           {"451 later", "not connected: temporary 4.0.0 greeting", "451 later (in the greeting)"},
           {"250 hm", "not connected: temporary 4.5.0 greeting", "250 hm (in the greeting)"},
           {"SSH-2.0-OpenSSH_9.2", "not connected: temporary 4.5.0 greeting", "4.5.0 bad greeting: not an SMTP reply: SSH-2.0-OpenSSH_9.2"},
       }) {
    ScriptedHost host({"S: " + std::string(row.greeting) + "\nHANG"});
    MemoryContent content(kText);
    const auto ran = run(options_for(host), {});
    EXPECT_EQ(ran.all(), row.expected);
    EXPECT_EQ(ran.failure.line(), row.line);
    EXPECT_EQ(ran.failure.scope, Scope::host);
    EXPECT_EQ(host.errors(), "");
  }
}

// The dialogue of Pipelined up to each point at which the client waits, and what follows there instead.
struct Point {
  std::string script;
  std::string stage;
  bool uncertain = false;
};

std::vector<Point> points() {
  return {{"", "greeting"},
          {"S: 220 x\nC: EHLO*\n", "EHLO"},
          {"S: 220 x\nC: EHLO*\nS: 250-mx.test\n", "EHLO"},
          {script({kHello, kEnvelope}), "MAIL"},
          {script({kHello, kEnvelope, "S: 250 ok\nS: 25\\\n"}), "RCPT"},
          {script({kHello, kEnvelope, "S: 250 ok\nS: 250 ok\n"}), "DATA"},
          {script({kHello, kEnvelope, "S: 250 ok\nS: 250 ok\nS: 354 go\nDATA\n"}), "end of DATA", true},
          {script({kPlain, "C: MAIL*\n"}), "MAIL"},
          {script({kPlain, "C: MAIL*\nS: 250 ok\nC: RCPT*\n"}), "RCPT"},
          {script({kPlain, "C: MAIL*\nS: 250 ok\nC: RCPT*\nS: 250 ok\nC: DATA\n"}), "DATA"},
          {script({kPlain, "C: MAIL*\nS: 250 ok\nC: RCPT*\nS: 250 ok\nC: DATA\nS: 354 go\nDATA\nS: 250-almost\n"}), "end of DATA", true}};
}

std::string failed_at(const Point& point, std::string_view status) {
  const bool connecting = point.stage == "greeting" || point.stage == "EHLO";
  return (connecting ? "not connected: " : "") + std::string("temporary ") + std::string(status) + " " + point.stage +
         (point.uncertain ? " uncertain" : "") + (connecting ? "" : " | trouble");
}

TEST(Client, ClosesInEveryState) {
  for (const auto& point : points()) {
    ScriptedHost host({point.script + "CLOSE"});
    EXPECT_EQ(send_one(host), failed_at(point, "4.4.2")) << point.script;
    EXPECT_EQ(host.errors(), "") << point.script;
  }
}

TEST(Client, HangsInEveryState) {
  for (const auto& point : points()) {
    ScriptedHost host({point.script + "HANG"});
    auto options = options_for(host);
    options.timeouts = testing::short_timeouts();
    MemoryContent content(kText);
    EXPECT_EQ(run(options, {message_to(content, {"a@mx.test"})}).all(), failed_at(point, "4.4.2")) << point.script;
    EXPECT_EQ(host.errors(), "") << point.script;
  }
}

TEST(Client, TalksGarbageInEveryState) {
  for (const auto& point : points()) {
    ScriptedHost host({point.script + "S: \\x00\\x01\\xFFgarbage\nHANG"});
    // The line of a reply that was begun ("25", "250-almost") goes on with it.
    EXPECT_EQ(send_one(host), failed_at(point, "4.5.0")) << point.script;
    EXPECT_EQ(host.errors(), "") << point.script;
  }
}

TEST(Client, AnEndlessReplyIsGarbage) {
  std::string endless = "S: 220 x\nC: EHLO*\n";
  for (std::size_t i = 0; i <= kMaxRemoteReplyLines; ++i) endless += "S: 250-x\n";
  ScriptedHost host({endless + "HANG", "S: 220 " + std::string(2 * kMaxRemoteReplyLine, 'x') + "\nHANG"});
  EXPECT_EQ(send_one(host), "not connected: temporary 4.5.0 EHLO");
  EXPECT_EQ(send_one(host), "not connected: temporary 4.5.0 greeting");
}

TEST(Client, CannotConnect) {
  ConnectOptions options;
  {
    ScriptedHost host({""});
    options = options_for(host);
  }
  EXPECT_EQ(run(options, {}).all(), "not connected: temporary 4.4.1 connect");
  options.address = "mx.test";
  EXPECT_EQ(run(options, {}).all(), "not connected: temporary 4.4.1 connect");
}

TEST(Client, FromAnAddressOfOurChoice) {
  ScriptedHost host({"S: 554 no"});
  auto options = options_for(host);
  options.source_address = "127.0.0.7";
  EXPECT_EQ(run(options, {}).failure.stage, Stage::greeting);
  EXPECT_EQ(host.errors(), "");
  EXPECT_EQ(host.peers().at(0), "127.0.0.7");
  for (const auto* bad : {"192.0.2.77", "::1", "nonsense"}) {
    options.source_address = bad;
    EXPECT_EQ(run(options, {}).failure.stage, Stage::connect) << bad;
  }
}

TEST(Client, ManyRecipientsInWindows) {
  constexpr int kMany = 333;
  std::string dialogue(kHello);
  dialogue += "C: MAIL*\nS: 250 ok\n";
  std::vector<std::string> recipients;
  std::string expected;
  for (int i = 0; i < kMany; ++i) {
    recipients.push_back("r" + std::to_string(i) + "@mx.test");
    dialogue += "C: RCPT TO:<" + recipients.back() + ">\nS: " + (i % 3 == 0 ? "550 5.1.1 no\n" : "250 ok\n");
    expected += (i == 0 ? "" : "; ") + std::string(i % 3 == 0 ? "permanent 5.1.1 RCPT" : "delivered 2.0.0 end of DATA");
  }
  ScriptedHost host({dialogue + "C: DATA\nS: 354 go\nDATA\nS: 250 ok\nC: QUIT"});
  EXPECT_EQ(send_one(host, recipients), expected + " | usable");
  EXPECT_EQ(host.errors(), "");
}

TEST(Client, TooManyRecipientsGoInAnotherTransaction) {
  ScriptedHost host({script({kHello, R"(
    C: MAIL*
    C: RCPT TO:<a@mx.test>
    C: RCPT TO:<b@mx.test>
    C: RCPT TO:<c@mx.test>
    C: DATA
    S: 250
    S: 250
    S: 452 4.5.3 too many
    S: 552 5.5.3 too many
    S: 354
    DATA
    S: 250 first
    C: MAIL*
    C: RCPT TO:<b@mx.test>
    C: RCPT TO:<c@mx.test>
    C: DATA
    S: 250
    S: 452 too many
    S: 250
    S: 354
    DATA
    S: 250 second
    C: QUIT)"})});
  EXPECT_EQ(send_one(host, {"a@mx.test", "b@mx.test", "c@mx.test"}),
            "delivered 2.0.0 end of DATA; temporary 4.5.3 RCPT; delivered 2.0.0 end of DATA | usable");
  EXPECT_EQ(host.errors(), "");
  EXPECT_EQ(host.contents().size(), 2U);
  EXPECT_EQ(host.contents().at(0), host.contents().at(1));
}

TEST(Client, AnnouncedLimitsAreKept) {  // RFC 9422
  ScriptedHost host({R"(
    S: 220 mx.test
    C: EHLO us.test
    S: 250-mx.test
    S: 250-PIPELINING
    S: 250 LIMITS MAILMAX=2 RCPTMAX=1
    C: MAIL*
    C: RCPT TO:<a@mx.test>
    C: DATA
    S: 250
    S: 250
    S: 354
    DATA
    S: 250
    C: MAIL*
    C: RCPT TO:<b@mx.test>
    C: DATA
    S: 250
    S: 250
    S: 354
    DATA
    S: 250
    C: QUIT)"});
  EXPECT_EQ(send_one(host, {"a@mx.test", "b@mx.test", "c@mx.test"}),
            "delivered 2.0.0 end of DATA; delivered 2.0.0 end of DATA; temporary 4.4.2 MAIL |");
  EXPECT_EQ(host.errors(), "");
}

TEST(Client, AConnectionThatEndedWhileIdleIsStale) {
  const auto first = script({kHello, kEnvelope, "S: 250\nS: 250\nS: 354\nDATA\nS: 250 ok\n"});
  for (const std::string_view end :
       {"CLOSE", "S: 421 4.4.2 idle too long\nCLOSE", "C: MAIL*\nCLOSE", "C: MAIL*\nS: 421 4.4.2 timeout\nCLOSE"}) {
    ScriptedHost host({first + std::string(end)});
    MemoryContent content(kText);
    EXPECT_EQ(run(options_for(host), {message_to(content, {"a@mx.test"}), message_to(content, {"a@mx.test"})}).all(),
              "delivered 2.0.0 end of DATA | usable\ntemporary 4.4.2 MAIL | stale")
        << end;
  }
  ScriptedHost busy({first + "C: MAIL*\nS: 421 4.7.0 too many messages\nCLOSE"});
  MemoryContent content(kText);
  EXPECT_EQ(run(options_for(busy), {message_to(content, {"a@mx.test"}), message_to(content, {"a@mx.test"})}).all(),
            "delivered 2.0.0 end of DATA | usable\ntemporary 4.7.0 MAIL | trouble");
}

TEST(Client, LargeContentIsStreamed) {
  std::string text = "Subject: large\r\n\r\n";
  while (text.size() < 3'000'000) text += ".line that begins with a dot and is of ordinary length\r\n..\r\n";
  std::string stuffed;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = text.find('\n', at) + 1;
    if (text[at] == '.') stuffed += '.';
    stuffed += text.substr(at, end - at);
    at = end;
  }
  const std::string_view view = text;
  MemoryContent content({view.substr(0, 1'000'001), view.substr(1'000'001, 7), view.substr(1'000'008)});
  for (const bool chunking : {false, true}) {
    ScriptedHost host(
        {script({"S: 220 x\nC: EHLO*\nS: 250-x\nS: 250-PIPELINING\nS: 250 ", chunking ? "CHUNKING" : "HELP",
                 "\nC: MAIL*\nC: RCPT*\nS: 250\nS: 250\n", chunking ? "C: BDAT*\n" : "C: DATA\nS: 354\n", "DATA\nS: 250\nC: QUIT"})});
    content.rewind();
    EXPECT_EQ(run(options_for(host), {message_to(content, {"a@mx.test"})}).all(), "delivered 2.0.0 end of DATA | usable");
    EXPECT_EQ(host.errors(), "");
    EXPECT_TRUE(host.contents().at(0) == (chunking ? text : stuffed + ".\r\n"));
  }
}

/// Gives less than it promises, or an error.
class BrokenContent final : public ContentSource {
 public:
  explicit BrokenContent(bool error) : error_(error) {}
  std::uint64_t size() const noexcept override { return 100'000; }
  net::Task<std::string_view> next() override {
    if (given_++ == 0) co_return std::string_view("Subject: x\r\n");
    if (error_) co_return fail(Fault::corrupt, "checksum");
    co_return std::string_view{};
  }
  void rewind() override { given_ = 0; }

 private:
  const bool error_;
  int given_ = 0;
};

TEST(Client, ContentThatCannotBeReadIsNeverEnded) {
  for (const bool chunking : {false, true}) {
    for (const bool error : {false, true}) {
      ScriptedHost host(
          {script({"S: 220 x\nC: EHLO*\nS: 250-x\nS: 250 ", chunking ? "CHUNKING" : "HELP", "\nC: MAIL*\nS: 250\nC: RCPT*\nS: 250\n",
                   chunking ? "C: BDAT 100000 LAST\n" : "C: DATA\nS: 354\n", "DATA"})});
      BrokenContent content(error);
      EXPECT_EQ(run(options_for(host), {message_to(content, {"a@mx.test"})}).all(), "temporary 4.3.0 local |");
      EXPECT_EQ(host.errors(), "the content has no end");
    }
  }
}

TEST(Client, GoesAwayWhileItIsSent) {
  const std::string text(20'000'000, 'x');
  ScriptedHost host({script({kPlain, "C: MAIL*\nS: 250\nC: RCPT*\nS: 250\nC: DATA\nS: 354\nCLOSE"})});
  EXPECT_EQ(send_one(host, {"a@mx.test"}, text), "temporary 4.4.2 end of DATA | trouble");
}

TEST(Client, LmtpAnswersForEachRecipient) {  // RFC 2033 §4.2
  ScriptedHost host({R"(
    S: 220 mx.test LMTP
    C: LHLO us.test
    S: 250-mx.test
    S: 250 PIPELINING
    C: MAIL FROM:<from@us.test>
    C: RCPT TO:<a@mx.test>
    C: RCPT TO:<b@mx.test>
    C: RCPT TO:<c@mx.test>
    C: RCPT TO:<d@mx.test>
    C: DATA
    S: 250 2.1.0 ok
    S: 250 2.1.5 ok
    S: 550 5.1.1 no
    S: 250 2.1.5 ok
    S: 250 2.1.5 ok
    S: 354 go
    DATA
    S: 250 2.0.0 in
    S: 552 5.2.2 full
    S: 451 4.3.0 later
    C: QUIT)",
                     R"(
    S: 220 mx.test LMTP
    C: LHLO us.test
    S: 250 mx.test
    C: MAIL*
    S: 250
    C: RCPT*
    S: 250
    C: RCPT*
    S: 250
    C: DATA
    S: 354
    DATA
    S: 250 in)",
                     "S: 220 x\nC: LHLO us.test\nS: 500 this is SMTP\nC: QUIT"});
  auto options = options_for(host);
  options.lmtp = true;
  MemoryContent content(kText);
  EXPECT_EQ(run(options, {message_to(content, {"a@mx.test", "b@mx.test", "c@mx.test", "d@mx.test"})}).all(),
            "delivered 2.0.0 end of DATA; permanent 5.1.1 RCPT; permanent 5.2.2 end of DATA; temporary 4.3.0 end of DATA | usable");
  EXPECT_EQ(host.errors(1), "");
  EXPECT_EQ(run(options, {message_to(content, {"a@mx.test", "b@mx.test"})}).all(),
            "delivered 2.0.0 end of DATA; temporary 4.4.2 end of DATA uncertain | trouble");
  EXPECT_EQ(run(options, {message_to(content, {"a@mx.test"})}).all(), "not connected: temporary 4.0.0 EHLO");
  EXPECT_EQ(host.errors(3), "");
}

TEST(Client, Xclient) {
  ScriptedHost host({R"(
    S: 220 mx.test
    C: EHLO us.test
    S: 250-mx.test
    S: 250 XCLIENT NAME ADDR HELO
    C: XCLIENT ADDR=192.0.2.1 HELO=a+2Bb
    S: 220 again
    C: EHLO us.test
    S: 250-mx.test
    S: 250 SIZE
    C: QUIT)",
                     "S: 220 x\nC: EHLO*\nS: 250-x\nS: 250 XCLIENT ADDR\nC: XCLIENT ADDR=192.0.2.1\nS: 550 5.7.0 no\nC: QUIT",
                     "S: 220 x\nC: EHLO*\nS: 250 x\nC: QUIT"});
  auto options = options_for(host);
  options.xclient = {{"ADDR", "192.0.2.1"}, {"PORT", "1"}, {"HELO", "a+b"}};
  EXPECT_TRUE(run(options, {}).offer.size);
  EXPECT_TRUE(run(options, {}).connected);
  EXPECT_TRUE(run(options, {}).connected);
  EXPECT_EQ(host.errors(3), "");
}

}  // namespace
}  // namespace relais::smtp
