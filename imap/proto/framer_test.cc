// The framer: each script is cut in every way and must be understood the same.
#include "imap/proto/framer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace relais::imap {
namespace {

using namespace std::string_literals;

/// Plays the session's part and writes down what the framer says.
class Caller {
 public:
  explicit Caller(FramerLimits limits, bool refuse_messages) : framer_(limits), refuse_(refuse_messages) {}

  void read(std::string_view input) {
    while (!closed_) {
      if (message_left_ > 0) {
        const auto take = std::min(message_left_, input.size());
        message_ += input.substr(0, take);
        input.remove_prefix(take);
        message_left_ -= take;
        if (message_left_ > 0) return;
        log_ += "<" + message_ + ">\n";
        message_.clear();
        framer_.message_taken();
      }
      const auto [used, event] = framer_.feed(input);
      ASSERT_LE(used, input.size());
      input.remove_prefix(used);
      if (event == Framer::Event::more) {
        EXPECT_TRUE(input.empty());
        return;
      }
      on(event);
    }
  }
  const std::string& log() const { return log_; }

 private:
  void on(Framer::Event event) {
    switch (event) {
      case Framer::Event::more: break;
      case Framer::Event::go_ahead: log_ += "+\n"; break;
      case Framer::Event::message:
        log_ += std::string("M ") + std::string(framer_.tag()) + "|" + std::string(framer_.text()) + "|" +
                (framer_.literal().sync ? "sync" : "now") + (framer_.literal().binary ? " binary" : "") + "\n";
        if (refuse_) {
          framer_.refuse({Fault::refused, "OVERQUOTA", "no room", {}});
        } else {
          message_left_ = static_cast<std::size_t>(framer_.literal().size);
          if (message_left_ == 0) framer_.message_taken();
        }
        break;
      case Framer::Event::command:
        log_ += std::string(framer_.continued() ? "E " : "C ") + std::string(framer_.tag()) + "|" + std::string(framer_.text()) + "\n";
        framer_.next();
        EXPECT_TRUE(framer_.idle());
        break;
      case Framer::Event::refused:
        log_ += "R " + std::string(framer_.tag()) + "|" + framer_.error().text + "\n";
        framer_.next();
        break;
      case Framer::Event::broken:
        log_ += "B " + std::string(framer_.tag()) + "|" + framer_.error().text + "\n";
        closed_ = true;
        break;
    }
  }

  Framer framer_;
  bool refuse_;
  bool closed_ = false;
  std::size_t message_left_ = 0;
  std::string message_;
  std::string log_;
};

struct Script {
  std::string input;
  std::string log;
  FramerLimits limits{};
  bool refuse_messages = false;
};

std::string play(const Script& script, const std::function<std::size_t()>& next_size) {
  Caller caller(script.limits, script.refuse_messages);
  for (std::string_view rest = script.input; !rest.empty();) {
    const auto size = std::min(rest.size(), next_size());
    const std::string piece(rest.substr(0, size));
    caller.read(piece);
    rest.remove_prefix(size);
  }
  return caller.log();
}

void check(const Script& script) {
  SCOPED_TRACE(script.input.substr(0, 200));
  EXPECT_EQ(play(script, [] { return std::size_t{1} << 30; }), script.log);
  EXPECT_EQ(play(script, [] { return std::size_t{1}; }), script.log);
  EXPECT_EQ(play(script, [] { return std::size_t{2}; }), script.log);
  std::mt19937 random(7);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(play(script, [&random] { return 1 + random() % 7; }), script.log);
  }
}

constexpr FramerLimits kSmall{.line = 40, .literals = 20, .literal_count = 3, .skip = 100};

TEST(Framer, CutsLines) {
  check({"a1 NOOP\r\na2 LOGOUT\r\n", "C a1|a1 NOOP\nC a2|a2 LOGOUT\n"});
  check({"DONE\r\n", "C DONE|DONE\n"});
  check({"\r\n", "C *|\n"});
  check({"dGVzdA==\r\n*\r\n", "C dGVzdA==|dGVzdA==\nC *|*\n"});
  check({"a1 NOO", ""});
}

TEST(Framer, InlinesLiterals) {
  // RFC 9051 §4.3.1, RFC 7888 §3
  check({"A001 LOGIN {11}\r\nFRED FOOBAR {7}\r\nfat man\r\n", "+\n+\nC A001|A001 LOGIN {11}\r\nFRED FOOBAR {7}\r\nfat man\n"});
  check({"A001 LOGIN {11+}\r\nFRED FOOBAR {7+}\r\nfat man\r\n", "C A001|A001 LOGIN {11+}\r\nFRED FOOBAR {7+}\r\nfat man\n"});
  check({"a LOGIN {0}\r\n {0+}\r\n\r\n", "+\nC a|a LOGIN {0}\r\n {0+}\r\n\n"});
  check({"a X ~{3}\r\n\0\r\n\r\n"s, "+\nC a|a X ~{3}\r\n\0\r\n\n"s});
  check({"a X {5+}\r\n{2}\r\n\r\n", "C a|a X {5+}\r\n{2}\r\n\n"});  // what a literal holds announces nothing
  check({"a X {0000000003}\r\nabc\r\n", "+\nC a|a X {0000000003}\r\nabc\n"});
}

TEST(Framer, TakesOnlyAnnouncementsAtTheEndOfALine) {
  check({"a X {3} y\r\n", "C a|a X {3} y\n"});
  check({"a X {}\r\n", "C a|a X {}\n"});
  check({"a X {+}\r\n", "C a|a X {+}\n"});
  check({"a X {3-}\r\n", "C a|a X {3-}\n"});
  check({"a X {-3}\r\n", "C a|a X {-3}\n"});
  check({"a X 3}\r\n", "C a|a X 3}\n"});
  check({"a X {3++}\r\n", "C a|a X {3++}\n"});
}

TEST(Framer, HandsOverMessagesOfAppend) {
  // RFC 9051 §6.3.12
  check(
      {"A003 APPEND saved-messages (\\Seen) {5+}\r\nDate:\r\n", "M A003|A003 APPEND saved-messages (\\Seen) {5+}|now\n<Date:>\nE A003|\n"});
  check({"a append x {5}\r\nab\r\nc\r\nb NOOP\r\n", "M a|a append x {5}|sync\n<ab\r\nc>\nE a|\nC b|b NOOP\n"});
  // The mailbox as a literal is collected, whatever its size says about a message.
  check({"a APPEND {5+}\r\nINBOX {3+}\r\nabc\r\n", "M a|a APPEND {5+}\r\nINBOX {3+}|now\n<abc>\nE a|\n"});
  check({"a APPEND {5}\r\nINBOX (\\Seen) ~{3}\r\nabc\r\n", "+\nM a|a APPEND {5}\r\nINBOX (\\Seen) ~{3}|sync binary\n<abc>\nE a|\n"});
  check({"a APPEND \"x\" {0+}\r\n\r\n", "M a|a APPEND \"x\" {0+}|now\nE a|\n"});
  // RFC 3502 §6.3.11
  check({"a APPEND x {1+}\r\na (\\Seen) \" 7-Feb-1994 22:43:04 -0800\" {2+}\r\nbc\r\n",
         "M a|a APPEND x {1+}|now\n<a>\nM a| (\\Seen) \" 7-Feb-1994 22:43:04 -0800\" {2+}|now\n<bc>\nE a|\n"});
  // RFC 6855 §4
  check({"a APPEND x UTF8 (~{2+}\r\nbc)\r\n", "M a|a APPEND x UTF8 (~{2+}|now binary\n<bc>\nE a|)\n"});
  // Not an APPEND: a literal is a literal.
  check({"a APPENDX x {1+}\r\na\r\n", "C a|a APPENDX x {1+}\r\na\n"});
  check({"a LOGIN APPEND {1+}\r\na\r\n", "C a|a LOGIN APPEND {1+}\r\na\n"});
  // An APPEND without a message.
  check({"a APPEND x\r\n", "C a|a APPEND x\n"});
  // A message is not bound by the limits of literals.
  check(
      {"a APPEND x {30+}\r\n" + std::string(30, 'm') + "\r\n", "M a|a APPEND x {30+}|now\n<" + std::string(30, 'm') + ">\nE a|\n", kSmall});
}

TEST(Framer, StaysInStepWithRefusedMessages) {
  // A synchronizing literal does not come after a NO.
  check({"a APPEND x {5}\r\nb NOOP\r\n", "M a|a APPEND x {5}|sync\nR a|no room\nC b|b NOOP\n", {}, true});
  // A non-synchronizing one does, and the rest of the command with it: RFC 7888 §4.
  check({"a APPEND x {9+}\r\nb NOOP\r\n!\r\nc NOOP\r\n", "M a|a APPEND x {9+}|now\nR a|no room\nC c|c NOOP\n", {}, true});
  check({"a APPEND x {1+}\r\nm {3+}\r\nn\r\n {1}\r\nc NOOP\r\n", "M a|a APPEND x {1+}|now\nR a|no room\nC c|c NOOP\n", {}, true});
  check({"a APPEND x {101+}\r\n", "M a|a APPEND x {101+}|now\nB a|no room\n", kSmall, true});
}

TEST(Framer, BoundsLines) {
  const std::string long_line = "a X " + std::string(60, 'x');
  check({long_line.substr(0, 38) + "\r\n", "C a|" + long_line.substr(0, 38) + "\n", kSmall});
  check({long_line.substr(0, 39) + "\r\nb Y\r\n", "R a|Command is too long\nC b|b Y\n", kSmall});
  check({long_line + "\r\nb Y\r\n", "R a|Command is too long\nC b|b Y\n", kSmall});
  check({std::string(60, 'x') + "\r\nb Y\r\n", "R *|Command is too long\nC b|b Y\n", kSmall});
  // A literal at the end of what is too long is still a literal: RFC 7888 §3.
  check({long_line + " {5+}\r\nb Y\r\n\r\nc Z\r\n", "R a|Command is too long\nC c|c Z\n", kSmall});
  check({long_line + " {5}\r\nb Y\r\n", "R a|Command is too long\nC b|b Y\n", kSmall});
  // The octets of a line with a literal count together.
  check(
      {"a X " + std::string(20, 'x') + " {1+}\r\nl" + std::string(20, 'y') + "\r\nb Y\r\n", "R a|Command is too long\nC b|b Y\n", kSmall});
  // Without an end there is nothing to wait for.
  check({"a X " + std::string(200, 'x'), "B a|Command is too long\n", kSmall});
  check({long_line + " {90+}\r\n", "B a|Command is too long\n", kSmall});
  check({long_line.substr(0, 38) + "{5+}\r\n12345\r\nc Z\r\n", "R a|Command is too long\nC c|c Z\n", kSmall});
}

TEST(Framer, BoundsLiterals) {
  const std::string no = "Literals of this command are too large\n";
  check({"a X {20}\r\n" + std::string(20, 'l') + "\r\n", "+\nC a|a X {20}\r\n" + std::string(20, 'l') + "\n", kSmall});
  check({"a X {21}\r\nb Y\r\n", "R a|" + no + "C b|b Y\n", kSmall});
  check({"a X {21+}\r\n" + std::string(21, 'l') + " more\r\nb Y\r\n", "R a|" + no + "C b|b Y\n", kSmall});
  check({"a X {11+}\r\n" + std::string(11, 'l') + " {10+}\r\n" + std::string(10, 'l') + "\r\nb Y\r\n", "R a|" + no + "C b|b Y\n", kSmall});
  check({"a X {1+}\r\nl{1+}\r\nl{1+}\r\nl{1+}\r\nl\r\nb Y\r\n", "R a|" + no + "C b|b Y\n", kSmall});
  check({"a X {101+}\r\n", "B a|" + no, kSmall});
  check({"a X {9223372036854775808}\r\nb Y\r\n", "R a|" + no + "C b|b Y\n"});
  check({"a X {9223372036854775808+}\r\n", "B a|" + no});
  check({"a X {99999999999999999999999999+}\r\n", "B a|" + no});
  check({"a APPEND x {99999999999999999999999999+}\r\n", "B a|" + no});
  check({"a APPEND x {99999999999999999999999999}\r\nb Y\r\n", "R a|" + no + "C b|b Y\n"});
  check({"a APPEND {21+}\r\n" + std::string(21, 'l') + " {3+}\r\nabc\r\nb Y\r\n", "R a|" + no + "C b|b Y\n", kSmall});
}

TEST(Framer, RefusesBareLineFeeds) {
  const std::string no = "expected CRLF at the end of a line, not a bare LF\n";
  check({"a NOOP\nb NOOP\r\n", "R a|" + no + "C b|b NOOP\n"});
  check({"\n", "R *|" + no});
  check({"a LOGIN {3+}\nabc x\r\nb NOOP\r\n", "R a|" + no + "C b|b NOOP\n"});
  check({"a LOGIN {3}\nb NOOP\r\n", "R a|" + no + "C b|b NOOP\n"});
  check({"a X\rY\r\n", "C a|a X\rY\n"});  // the grammar refuses it
}

TEST(Framer, SaysAgainWhatWasNotAnswered) {
  Framer framer;
  const std::string input = "a NOOP\r\nb NOOP\r\n";
  EXPECT_EQ(framer.feed(input).used, 8U);
  const auto again = framer.feed(input);
  EXPECT_EQ(again.used, 0U);
  EXPECT_EQ(again.event, Framer::Event::command);
  EXPECT_FALSE(framer.idle());
}

}  // namespace
}  // namespace relais::imap
