// Runs the wire transcripts in tests/imap/transcripts: what a client says and, to the octet, what it must hear.
//
// A transcript is a text file, a line each:
//   # …            comment; a paragraph of them names the rule
//   @option N V    server option: append_limit, append_messages, max_bad_commands, max_per_account, plaintext (on, off)
//   @sample BOX N FLAG…    N sample messages in a mailbox (before the first connection, or between commands: delivered just then)
//   @mail BOX FILE         a message from a file beside the transcript (LF becomes CRLF, \0 becomes NUL)
//   @names PREFIX SEPARATOR    the account's view of names ("-": no prefix; "NIL": no levels)
//   @fault full    the next commit finds the disk full
//   @advance S     S seconds pass
//   @login [N]     connection N greets and logs in, its output is not compared
//   C: text        the client sends the line and CRLF; C> text: without CRLF, with \xNN for any octet
//   S: text        the server has sent this line; ${name} stands for one run of characters other than space, ")" and "]", the same
//                  wherever the name comes again
//   C2: S2: …      the same for a second, third … connection; connections open where they are named first
//   S: <closed>    the server has closed the connection
//
// RELAIS_UPDATE_TRANSCRIPTS=1 writes what was heard into the files, for a human to check against the RFCs.
#include "imap/server/testing.h"

#include "base/ascii.h"
#include "base/encode.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

namespace relais::imap::testing {
namespace {

const std::string kFolder = std::string(RELAIS_SOURCE_DIR) + "/tests/imap/transcripts";

struct Line {
  enum class Kind : std::uint8_t { verbatim, directive, client, server };
  Kind kind = Kind::verbatim;
  int connection = 1;
  std::string text{};    // directive without "@", the client's octets, the server's line
  std::string source{};  // as in the file
};

std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i).starts_with("\\x") && i + 3 < text.size()) {
      out += from_hex(text.substr(i + 2, 2)).value();
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in) << path;
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<Line> load(const std::string& path) {
  std::vector<Line> lines;
  std::istringstream in(read_file(path));
  for (std::string source; std::getline(in, source);) {
    Line line;
    line.source = source;
    if (source.starts_with('@')) {
      line.kind = Line::Kind::directive;
      line.text = source.substr(1);
    } else if (!source.empty() && (source[0] == 'C' || source[0] == 'S')) {
      std::size_t at = 1;
      if (at < source.size() && ascii_digit(source[at])) line.connection = source[at++] - '0';
      const char mark = at < source.size() ? source[at] : ' ';
      const auto text = source.size() > at + 2 ? source.substr(at + 2) : std::string();
      if (source[0] == 'C' && (mark == ':' || mark == '>')) {
        line.kind = Line::Kind::client;
        line.text = mark == ':' ? text + "\r\n" : unescape(text);
      } else if (source[0] == 'S' && mark == ':') {
        line.kind = Line::Kind::server;
        line.text = text;
      }
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

class Variables {
 public:
  bool matches(std::string_view pattern, std::string_view text) {
    while (!pattern.empty()) {
      if (pattern.starts_with("${")) {
        const auto name = std::string(pattern.substr(2, pattern.find('}') - 2));
        pattern.remove_prefix(name.size() + 3);
        const auto [known, fresh] = values_.try_emplace(name);
        if (fresh) known->second = text.substr(0, text.find_first_of(" )]\""));
        if (!text.starts_with(known->second) || known->second.empty()) return false;
        text.remove_prefix(known->second.size());
      } else {
        if (text.empty() || text.front() != pattern.front()) return false;
        pattern.remove_prefix(1);
        text.remove_prefix(1);
      }
    }
    return text.empty();
  }

 private:
  std::map<std::string, std::string> values_;
};

Options options_of(const std::vector<Line>& lines) {
  auto options = World::plaintext();
  for (const auto& line : lines) {
    if (line.kind != Line::Kind::directive || !line.text.starts_with("option ")) continue;
    std::istringstream in(line.text.substr(7));
    std::string name;
    std::string value;
    in >> name >> value;
    const auto number = parse_u64(value).value_or(0);
    if (name == "plaintext")
      options.allow_plaintext = value == "on";
    else if (name == "append_limit")
      options.append_limit = number;
    else if (name == "append_total")
      options.append_total = number;
    else if (name == "append_messages")
      options.append_messages = static_cast<std::uint32_t>(number);
    else if (name == "max_bad_commands")
      options.max_bad_commands = static_cast<std::uint32_t>(number);
    else if (name == "max_per_account")
      options.max_per_account = static_cast<std::uint32_t>(number);
    else
      ADD_FAILURE() << "no such option: " << name;
  }
  return options;
}

void carry_out(World& world, const std::string& directive) {
  std::istringstream in(directive);
  std::string what;
  in >> what;
  std::string mailbox;
  if (what == "sample") {
    static constexpr unsigned kFirst = 1;
    unsigned count = 0;
    in >> mailbox >> count;
    std::vector<std::string> flags;
    for (std::string flag; in >> flag;) flags.push_back(flag);
    for (unsigned i = 0; i < count; ++i) world.deliver(mailbox, World::sample(kFirst + i), flags);
  } else if (what == "mail") {
    std::string file;
    in >> mailbox >> file;
    std::string octets;
    const auto text = read_file(kFolder + "/" + file);
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text.substr(i, 2) == "\\0") {
        octets += '\0';
        ++i;
        continue;
      }
      if (text[i] == '\n') octets += '\r';
      octets += text[i];
    }
    world.deliver(mailbox, octets);
  } else if (what == "fault") {
    world.engine().arm(storage::MemoryFault::full, 1);
  } else if (what == "names") {  // prefix (or -), separator (or NIL)
    std::string prefix;
    std::string separator;
    in >> prefix >> separator;
    world.set_names({separator == "NIL" ? '\0' : separator.front(), prefix == "-" ? "" : prefix});
  } else if (what == "advance") {
    int seconds = 0;
    in >> seconds;
    world.clock().advance(std::chrono::seconds(seconds));
  } else if (what != "option" && what != "login") {
    ADD_FAILURE() << "no such directive: @" << directive;
  }
}

// The lines of what was heard; a last one without CRLF is marked.
std::vector<std::string> lines_of(std::string_view heard) {
  std::vector<std::string> lines;
  while (!heard.empty()) {
    const auto end = heard.find("\r\n");
    if (end == std::string_view::npos) {
      lines.push_back(std::string(heard) + "<no CRLF>");
      break;
    }
    lines.emplace_back(heard.substr(0, end));
    heard.remove_prefix(end + 2);
  }
  return lines;
}

// Runs a transcript as it stands, connection by connection, and compares; or writes down what it heard.
class Interactive {
 public:
  explicit Interactive(const std::string& path) : path_(path), lines_(load(path)), world_(options_of(lines_)) {}

  void run(bool update) {
    std::size_t at = 0;
    while (at < lines_.size()) {
      auto& line = lines_[at];
      switch (line.kind) {
        case Line::Kind::verbatim: out_ += line.source + "\n"; break;
        case Line::Kind::directive:
          out_ += line.source + "\n";
          if (line.text.starts_with("login")) {
            const int number = line.text.size() > 6 ? line.text[6] - '0' : 1;
            auto heard = session(number).run() + session(number).send("login LOGIN alice secret\r\n");
            EXPECT_NE(heard.find("login OK"), std::string::npos) << heard;
          } else {
            carry_out(world_, line.text);
          }
          break;
        case Line::Kind::client: {
          out_ += line.source + "\n";
          heard_[line.connection] += session(line.connection).send(line.text);
          if (update) write_heard(line.connection);
          break;
        }
        case Line::Kind::server:
          if (update) {  // only for what comes unasked: the first line of a connection, or a push
            heard_[line.connection] += session(line.connection).run();
            write_heard(line.connection);
          } else {
            at = compare(at) - 1;
          }
          break;
      }
      ++at;
    }
    for (auto& [number, open] : sessions_) {
      heard_[number] += open->run();
      EXPECT_EQ(heard_[number], "") << path_ << ": connection " << number << " said more at the end";
    }
    if (update) std::ofstream(path_, std::ios::binary) << out_;
  }

 private:
  net::ScriptedSession& session(int number) {
    auto& open = sessions_[number];
    if (!open) open = std::make_unique<net::ScriptedSession>(world_.starter());
    return *open;
  }

  std::vector<std::string> take_heard(int connection) {
    heard_[connection] += session(connection).run();
    auto heard = lines_of(std::exchange(heard_[connection], {}));
    if (session(connection).ended() && !closed_told_[connection]) {
      heard.emplace_back("<closed>");
      closed_told_[connection] = true;
    }
    return heard;
  }

  void write_heard(int connection) {
    const auto mark = connection == 1 ? std::string("S: ") : "S" + std::to_string(connection) + ": ";
    for (const auto& text : take_heard(connection)) out_ += mark + text + "\n";
  }

  // Compares the S: lines from `at` on with what was heard. @return where they end
  std::size_t compare(std::size_t at) {
    const int connection = lines_[at].connection;
    const auto heard = take_heard(connection);
    std::size_t i = 0;
    for (; at < lines_.size() && lines_[at].kind == Line::Kind::server && lines_[at].connection == connection; ++at, ++i) {
      const bool there = i < heard.size();
      EXPECT_TRUE(there && variables_.matches(lines_[at].text, heard[i]))
          << path_ << ":" << at + 1 << "\n  expected: " << lines_[at].text << "\n  heard:    " << (there ? heard[i] : "nothing");
    }
    for (; i < heard.size(); ++i) ADD_FAILURE() << path_ << ":" << at << ": heard more: " << heard[i];
    return at;
  }

  const std::string path_;
  std::vector<Line> lines_;
  World world_;
  Variables variables_;
  std::map<int, std::unique_ptr<net::ScriptedSession>> sessions_;
  std::map<int, std::string> heard_;
  std::map<int, bool> closed_told_;
  std::string out_;
};

std::vector<std::string> transcripts() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    if (entry.path().extension() == ".txt") names.push_back(entry.path().stem().string());
  }
  std::ranges::sort(names);
  return names;
}

class ImapTranscript : public ::testing::TestWithParam<std::string> {};

TEST_P(ImapTranscript, SaysWhatItMust) {
  Interactive(kFolder + "/" + GetParam() + ".txt").run(std::getenv("RELAIS_UPDATE_TRANSCRIPTS") != nullptr);
}

// A transcript of one connection as one script. nullopt where it has more, or where something happens between its commands.
struct Whole {
  std::string to_server;
  std::vector<std::string> before;  // directives
};
std::optional<Whole> whole(const std::vector<Line>& lines) {
  Whole all;
  for (const auto& line : lines) {
    if (line.connection != 1) return std::nullopt;
    if (line.kind == Line::Kind::directive) {
      if (line.text.starts_with("login")) {
        all.to_server += "login LOGIN alice secret\r\n";
      } else if (all.to_server.empty()) {
        all.before.push_back(line.text);
      } else {
        return std::nullopt;
      }
    }
    if (line.kind == Line::Kind::client) all.to_server += line.text;
  }
  return all;
}

// Those that can be played as one script.
std::vector<std::string> transcripts_of_one_connection() {
  auto names = transcripts();
  std::erase_if(names, [](const std::string& name) { return !whole(load(kFolder + "/" + name + ".txt")); });
  return names;
}

class ImapTranscriptAlone : public ::testing::TestWithParam<std::string> {};

struct Played {
  std::string from_server;
  std::size_t ops = 0;
};
Played play_whole(const std::vector<Line>& lines, const Whole& all, std::size_t chunk, std::size_t fail_at) {
  World world(options_of(lines));
  for (const auto& directive : all.before) carry_out(world, directive);
  net::Script script;
  script.to_server = all.to_server;
  script.chunk = chunk;
  script.fail_at = fail_at;
  const auto ops = net::play(script, world.starter());
  return {std::move(script.from_server), ops};
}

// The same octets however they are cut, and all at once: a client that pipelines hears the same.
TEST_P(ImapTranscriptAlone, DoesNotDependOnHowItIsCut) {
  const auto lines = load(kFolder + "/" + GetParam() + ".txt");
  const auto all = whole(lines);
  ASSERT_TRUE(all);
  const auto at_once = play_whole(lines, *all, net::Script::kNever, net::Script::kNever);
  EXPECT_EQ(play_whole(lines, *all, 1, net::Script::kNever).from_server, at_once.from_server);
  EXPECT_EQ(play_whole(lines, *all, 7, net::Script::kNever).from_server, at_once.from_server);
}

// The transport breaks at every step in turn: the session must end by itself, having said nothing else than before.
TEST_P(ImapTranscriptAlone, EndsWhereTheTransportBreaks) {
  const auto lines = load(kFolder + "/" + GetParam() + ".txt");
  const auto all = whole(lines);
  ASSERT_TRUE(all);
  constexpr std::size_t kChunk = 48;
  const auto complete = play_whole(lines, *all, kChunk, net::Script::kNever);
  for (std::size_t i = 0; i < complete.ops; ++i) {
    SCOPED_TRACE(i);
    const auto broken = play_whole(lines, *all, kChunk, i);
    EXPECT_TRUE(complete.from_server.starts_with(broken.from_server)) << broken.from_server;
    EXPECT_LE(broken.ops, i + 1);
  }
}

std::string test_name(const ::testing::TestParamInfo<std::string>& info) { return info.param; }
INSTANTIATE_TEST_SUITE_P(All, ImapTranscript, ::testing::ValuesIn(transcripts()), test_name);
INSTANTIATE_TEST_SUITE_P(All, ImapTranscriptAlone, ::testing::ValuesIn(transcripts_of_one_connection()), test_name);

}  // namespace
}  // namespace relais::imap::testing
