// Wire transcripts: each plays line by line, all at once, octet by octet, and with the transport broken at every step.
#include "smtp/server/test_support.h"

#include "base/ascii.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>

namespace relais::smtp {
namespace {

using testing::TestPlatform;

/// What the client says at one time, and what the server says then.
struct Exchange {
  std::string client;
  std::string server;
};

struct Transcript {
  Options options;
  std::vector<Exchange> exchanges;
  std::vector<std::pair<std::string, std::size_t>> mailboxes;  ///< address, messages at the end
  bool queue = false;  ///< there is one
  std::vector<std::string> queued;                             ///< FakeIntake::recipients() at the end
  bool alone = false;  ///< the dialogue must go line by line: what the client says depends on the moment
  std::string client() const {
    std::string all;
    for (const auto& exchange : exchanges) all += exchange.client;
    return all;
  }
  std::string server() const {
    std::string all;
    for (const auto& exchange : exchanges) all += exchange.server;
    return all;
  }
};

int hex(char c) { return ascii_digit(c) ? c - '0' : ascii_lower(c) - 'a' + 10; }

// A line and CRLF. \r \n \\ \xHH stand for octets; a final "\" means no CRLF; {N*c} stands for N times the character c.
std::string unescape(std::string_view line) {
  std::string out;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\\') {
      if (++i == line.size()) return out;
      if (line[i] == 'x') {
        out.push_back(static_cast<char>(hex(line[i + 1]) * 16 + hex(line[i + 2])));
        i += 2;
      } else {
        out.push_back(line[i] == 'r' ? '\r' : line[i] == 'n' ? '\n' : line[i]);
      }
    } else if (line[i] == '{' && line.find('*', i) != std::string_view::npos) {
      const auto star = line.find('*', i);
      out.append(static_cast<std::size_t>(*parse_u64(line.substr(i + 1, star - i - 1))), line[star + 1]);
      i = star + 2;
    } else {
      out.push_back(line[i]);
    }
  }
  return out + "\r\n";
}

void set_option(Transcript& script, std::string_view name, std::string_view value) {
  const auto number = static_cast<std::uint32_t>(parse_u64(value).value_or(0));
  auto& options = script.options;
  if (name == "service") options.service = value == "mx" ? Service::mx : value == "lmtp" ? Service::lmtp : Service::submission;
  else if (name == "max_message_octets") options.max_message_octets = number;
  else if (name == "max_discarded_octets") options.max_discarded_octets = number;
  else if (name == "max_recipients") options.max_recipients = number;
  else if (name == "max_messages") options.max_messages = number;
  else if (name == "max_errors") options.max_errors = number;
  else if (name == "max_unknown_recipients") options.max_unknown_recipients = number;
  else if (name == "max_received") options.max_received = number;
  else if (name == "max_hold") options.max_hold = std::chrono::seconds(number);
  else if (name == "max_priority") options.max_priority = static_cast<int>(number);
  else if (name == "relay_from") options.relay_from.emplace_back(value);
  else if (name == "queue") script.queue = true;
  else if (name == "alone") script.alone = true;
  else throw std::runtime_error("unknown option " + std::string(name));
}

// `# comment`, `@ option value`, `C: line`, `S: line`, `M: address count`, `Q: destination sender address` (of what is queued at the end).
Transcript load(const std::filesystem::path& path) {
  Transcript script;
  script.options.hostname = "mx.example.test";
  script.options.allow_plaintext_auth = true;
  script.exchanges.emplace_back();
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const auto kind = line.substr(0, 2);
    const auto text = line.size() > 3 ? std::string_view(line).substr(3) : std::string_view{};
    if (kind == "C:") {
      if (!script.exchanges.back().server.empty()) script.exchanges.emplace_back();
      script.exchanges.back().client += unescape(text);
    } else if (kind == "S:") {
      script.exchanges.back().server += unescape(text);
    } else if (kind == "M:") {
      const auto space = text.rfind(' ');
      script.mailboxes.emplace_back(text.substr(0, space), *parse_u64(text.substr(space + 1)));
    } else if (kind == "Q:") {
      script.queued.emplace_back(text);
    } else if (kind == "@ ") {
      const auto space = line.find(' ', 2);
      set_option(script, std::string_view(line).substr(2, space - 2), space == std::string::npos ? "" : std::string_view(line).substr(space + 1));
    } else if (!line.empty() && line.front() != '#') {
      throw std::runtime_error(path.string() + ": " + line);
    }
  }
  std::ranges::sort(script.queued);
  return script;
}

// Ids differ from run to run; SCRAM nonces are not in transcripts.
// The clock goes on between the repetitions of a script.
std::string without_times(const std::string& text) {
  static const std::regex time("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z");
  return std::regex_replace(text, time, "$");
}

std::string without_ids(const std::string& text) {
  static const std::regex id("(delivered|queued|relayed) as [a-z0-9]+-");
  return std::regex_replace(text, id, "$1 as $$-");
}

/// alice, bob, carol, dave@example.test; aliases that stay, leave, and do both; a disabled account; one that is being moved; some that are on a legacy
/// platform still (FakeRelays says how it answers); a domain whose users another host knows.
class Scene {
 public:
  explicit Scene(const Transcript& script) {
    if (script.queue) platform.add_queue();
    for (const auto* name : {"alice", "bob", "carol", "dave", "gone", "moving"}) refs_.emplace(std::string(name) + "@example.test", platform.add(std::string(name) + "@example.test"));
    auto& names = platform.names;
    EXPECT_TRUE(names.run(names->add_alias("team@example.test", {"alice@example.test", "bob@example.test", "carol@example.test"})));
    EXPECT_TRUE(names.run(names->add_alias("away@example.test", {"someone@elsewhere.test"})));
    EXPECT_TRUE(names.run(names->add_alias("both@example.test", {"alice@example.test", "someone@elsewhere.test"})));
    EXPECT_TRUE(names.run(names->add_alias("alice.smith@example.test", {"alice@example.test"})));
    EXPECT_TRUE(names.run(names->set_enabled("gone@example.test", false)));
    for (const auto* name : {"old", "old2", "ghost", "busy", "silent", "late", "dead"}) {
      const auto address = std::string(name) + "@example.test";
      refs_.emplace(address, platform.add(address));
      directory::Placement placement;
      placement.kind = directory::Placement::Kind::legacy;
      placement.legacy = "old";
      EXPECT_TRUE(names.place(address, placement));
    }
    EXPECT_TRUE(names.run(names->add_domain("relay.test")));
    const auto route = directory::parse_route("relay.test", "smtp://next.relay.test:2525", "", "");
    EXPECT_TRUE(route && names.run(names->set_route(*route)));
    directory::Placement legacy;
    legacy.kind = directory::Placement::Kind::moving;
    legacy.legacy = "old";
    EXPECT_TRUE(names.place("moving@example.test", legacy));
  }
  std::size_t count(const std::string& address) { return platform.count(refs_.at(address)); }
  void check(const Transcript& script) {
    for (const auto& [address, messages] : script.mailboxes) EXPECT_EQ(count(address), messages) << address;
    EXPECT_EQ(platform.intake.recipients(), script.queued);
  }
  TestPlatform platform;

 private:
  std::map<std::string, storage::AccountRef> refs_;
};

class SmtpTranscript : public ::testing::TestWithParam<std::filesystem::path> {};

TEST_P(SmtpTranscript, LineByLine) {
  const auto script = load(GetParam());
  Scene scene(script);
  net::ScriptedSession session(scene.platform.service(script.options));
  std::string before = session.run();
  for (const auto& exchange : script.exchanges) {
    const auto got = std::exchange(before, {}) + (exchange.client.empty() ? std::string() : session.send(exchange.client));
    ASSERT_EQ(without_ids(got), exchange.server) << "after " << exchange.client;
  }
  session.close();
  EXPECT_TRUE(session.ended());
  scene.check(script);
}

TEST_P(SmtpTranscript, HoweverTheOctetsAreCut) {
  const auto script = load(GetParam());
  if (script.alone) return;
  for (const std::size_t chunk : {net::Script::kNever, std::size_t{1}, std::size_t{7}, std::size_t{1000}}) {
    SCOPED_TRACE(chunk);
    Scene scene(script);
    net::Script wire{.to_server = script.client(), .chunk = chunk};
    net::play(wire, scene.platform.service(script.options));
    EXPECT_EQ(without_ids(wire.from_server), script.server());
    scene.check(script);
  }
}

TEST_P(SmtpTranscript, BrokenAtEveryStep) {
  const auto script = load(GetParam());
  if (script.alone) return;
  Scene scene(script);
  net::Script whole{.to_server = script.client(), .chunk = 64};
  const auto steps = net::play(whole, scene.platform.service(script.options));
  const auto stride = std::max<std::size_t>(1, steps / 200);
  for (std::size_t i = 0; i < steps; i += stride) {
    SCOPED_TRACE(i);
    scene.platform.clock.advance(std::chrono::hours(24));  // wrong passwords are forgotten
    net::Script broken{.to_server = script.client(), .chunk = 64, .fail_at = i};
    net::play(broken, scene.platform.service(script.options));
    // A reply cut in an id can't be compared: cut both at the last whole line.
    const auto got = without_ids(broken.from_server.substr(0, broken.from_server.rfind('\n') + 1));
    EXPECT_TRUE(without_times(script.server()).starts_with(without_times(got))) << got;
    EXPECT_LE(broken.ops, i + 2);
  }
}

std::vector<std::filesystem::path> transcripts() {
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(RELAIS_SOURCE_DIR "/tests/smtp/transcripts")) found.push_back(entry.path());
  std::ranges::sort(found);
  return found;
}

INSTANTIATE_TEST_SUITE_P(Files, SmtpTranscript, ::testing::ValuesIn(transcripts()), [](const auto& instance) { return instance.param.stem().string(); });

}  // namespace
}  // namespace relais::smtp
