// What submission mends, and whom it takes for the author.
#include "message/submission.h"

#include "message/header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace relais::message {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr SubmissionContext kContext{"mx.example.org", "t-1", 1'767'225'600, 60};

std::string mended(std::string_view message) {
  const auto done = mend_submission(message, kContext);
  return done.header + std::string(message.substr(done.body_begin));
}

TEST(Submission, CompleteMessagesStayAsTheyAre) {
  constexpr std::string_view message =
      "From: a@b.test\r\nDate: now\r\nMessage-Id: <x@y>\r\nSubject: x\r\n  folded\r\nnot a field\r\n\r\nBody\r\nBcc: not a field\r\n";
  const auto done = mend_submission(message, kContext);
  EXPECT_FALSE(done.changed());
  EXPECT_EQ(done.message_id, "<x@y>");
  EXPECT_EQ(mended(message), message);
}

TEST(Submission, WhatIsMissingIsAddedInFront) {
  EXPECT_EQ(mended("From: a@b.test\r\n\r\nx"),
            "Message-ID: <t-1@mx.example.org>\r\nDate: Thu, 1 Jan 2026 01:00:00 +0100\r\nFrom: a@b.test\r\n\r\nx");
  // Empty ones are missing ones.
  EXPECT_EQ(mended("Date: \r\nMessage-ID:\r\n \r\nFrom: a@b.test\r\n\r\n"),
            "Message-ID: <t-1@mx.example.org>\r\nDate: Thu, 1 Jan 2026 01:00:00 +0100\r\nFrom: a@b.test\r\n\r\n");
  EXPECT_EQ(mended(""), "Message-ID: <t-1@mx.example.org>\r\nDate: Thu, 1 Jan 2026 01:00:00 +0100\r\n\r\n");
  EXPECT_EQ(mended("Date: d\r\nMessage-ID: <i>\r\nFrom: a@b.test"), "Date: d\r\nMessage-ID: <i>\r\nFrom: a@b.test\r\n\r\n");
}

TEST(Submission, BlindCopiesAreTakenOut) {
  constexpr std::string_view message =
      "BCC: one@x.test\r\nDate: d\r\nbcc:\r\n two@x.test,\r\n\tthree@x.test\r\nMessage-ID: <i>\r\nBcc : four@x.test\r\nX-Bcc: "
      "kept\r\nResent-Bcc: five@x.test\r\nbcc:\r\n\r\nBcc: body\r\n";
  const auto done = mend_submission(message, kContext);
  EXPECT_EQ(done.removed_bcc, 5U);
  EXPECT_EQ(done.header, "Date: d\r\nMessage-ID: <i>\r\nX-Bcc: kept\r\n\r\n");
  EXPECT_EQ(message.substr(done.body_begin), "Bcc: body\r\n");
}

struct AuthorCase {
  std::string_view from;
  std::vector<std::string> authors;
  bool clear;
};

TEST(Submission, AuthorsAreFoundOrSaidToBeUnclear) {
  const AuthorCase cases[] = {
      {"a@b.test", {"a@b.test"}, true},
      {"Ann <Ann@B.Test>", {"Ann@b.test"}, true},
      {"\"Ann @ work\" <a@b.test>", {"a@b.test"}, true},
      {"Ann (at x@y.test) <a@b.test>", {"a@b.test"}, true},
      {"John Q. Public <j@b.test>", {"j@b.test"}, true},
      {"a@b.test, c@d.test", {"a@b.test", "c@d.test"}, true},
      {"Group: a@b.test, c@d.test;", {"a@b.test", "c@d.test"}, true},
      {"\r\n a@b.test", {"a@b.test"}, true},
      {"\xC3\xBC@b\xC3\xBC"
       "cher.test",
       {"\xC3\xBC@xn--bcher-kva.test"},
       true},
      {"=?utf-8?Q?boss=40bank.test?= <a@b.test>", {"a@b.test"}, true},
      {"\"a b\"@b.test", {"\"a b\"@b.test"}, true},
      {"a@b.test <a@b.test>", {"a@b.test", "a@b.test"}, true},
      // A reader may see either of them, so both count.
      {"boss@bank.test <a@b.test>", {"a@b.test", "boss@bank.test"}, true},
      {"a@b.test <boss@bank.test>", {"boss@bank.test", "a@b.test"}, true},
      {"<@relay.test:a@b.test>", {"a@b.test"}, false},
      {"a@b.test@c.test", {}, false},
      {"\"unclosed <boss@bank.test> a@b.test", {}, false},
      {"(unclosed <boss@bank.test> a@b.test", {}, false},
      {"a", {}, false},
      {"", {}, false},
      {"<>", {}, false},
      {"Group:;", {}, false},
      {"a@b.test <boss@bank.test", {}, false},
  };
  for (const auto& c : cases) {
    const auto done = mend_submission("From: " + std::string(c.from) + "\r\n\r\n", kContext);
    EXPECT_EQ(done.from_fields, 1U);
    EXPECT_EQ(done.from_clear, c.clear) << c.from;
    if (c.clear || !c.authors.empty()) EXPECT_EQ(done.from, c.authors) << c.from;
  }
}

TEST(Submission, WhatSenderShows) {
  const auto sender = [](std::string_view value) { return mend_submission("From: a@b.test\r\nSender: " + std::string(value) + "\r\n\r\n", kContext); };
  EXPECT_TRUE(mend_submission("From: a@b.test\r\n\r\n", kContext).sender_clear);
  EXPECT_TRUE(sender("").sender_clear);
  EXPECT_TRUE(sender("S <s@b.test>").sender_clear);
  EXPECT_THAT(sender("S <s@b.test>").sender, ElementsAre("s@b.test"));
  for (const auto* odd : {"<s@b.test", "s@b.test (\\) c@d.test", "\"s@b.test", "s@b.test@c.test", "s@b.test>", "S@b.test <s@b.test> c@d.test"})
    EXPECT_FALSE(sender(odd).sender_clear) << odd;
}

TEST(Submission, OneFromFieldAlone) {
  const auto two = mend_submission("From: a@b.test\r\nSender: s@b.test\r\nfrom: c@d.test\r\n\r\n", kContext);
  EXPECT_EQ(two.from_fields, 2U);
  EXPECT_FALSE(two.from_clear);
  EXPECT_THAT(two.from, ElementsAre("a@b.test", "c@d.test"));
  EXPECT_THAT(two.sender, ElementsAre("s@b.test"));
  const auto none = mend_submission("Subject: x\r\n\r\nFrom: a@b.test\r\n", kContext);
  EXPECT_EQ(none.from_fields, 0U);
  EXPECT_FALSE(none.from_clear);
  EXPECT_THAT(none.from, IsEmpty());
  // A NUL or another control ends the text for some readers.
  EXPECT_FALSE(mend_submission(std::string("From: boss@bank.test\0 <a@b.test>\r\n\r\n", 36), kContext).from_clear);
}

}  // namespace
}  // namespace relais::message
