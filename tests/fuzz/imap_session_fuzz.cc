// Two IMAP sessions on one mailbox, fed with anything: no crash, and what each is told always fits the sequence map of its client.
#include "imap/server/testing.h"

#include "base/ascii.h"
#include "base/number_set.h"

#include <array>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

using namespace relais;
using namespace relais::imap;

namespace {

/// A client that believes what it is told and counts.
class Watcher {
 public:
  void hear(std::string_view octets) {
    heard_ += octets;
    for (;;) {
      const auto line = take_line();
      if (!line) return;
      check(*line);
    }
  }

 private:
  static void require(bool condition) {
    if (!condition) std::abort();
  }

  /// One response; the octets of its literals are left out.
  std::optional<std::string> take_line() {
    std::string line;
    std::size_t at = 0;
    for (;;) {
      const auto end = heard_.find("\r\n", at);
      if (end == std::string::npos) return std::nullopt;
      const auto part = std::string_view(heard_).substr(at, end - at);
      line += part;
      at = end + 2;
      const auto brace = part.rfind('{');
      if (!part.ends_with('}') || brace == std::string_view::npos) break;
      const auto size = parse_u64(part.substr(brace + 1, part.size() - brace - 2));
      if (!size) break;
      if (heard_.size() - at < *size) return std::nullopt;
      at += static_cast<std::size_t>(*size);
    }
    heard_.erase(0, at);
    return line;
  }

  void check(std::string_view line) {
    const bool begins = std::exchange(selecting_, line.starts_with("* OK [PERMANENTFLAGS"));
    if (!line.starts_with("* ")) {
      require(!line.empty());
      return;
    }
    line.remove_prefix(2);
    if (line.starts_with("OK [CLOSED]")) exists_ = 0;
    if (line.starts_with("VANISHED ") && !line.starts_with("VANISHED (EARLIER)")) {
      const auto gone = NumberSet::parse(line.substr(9));
      require(gone && gone->count() <= exists_);
      exists_ -= gone->count();
    }
    const auto space = line.find(' ');
    const auto number = parse_u64(line.substr(0, space));
    if (!number || space == std::string_view::npos) return;
    const auto what = line.substr(space + 1);
    if (what == "EXISTS") {
      require(begins || *number >= exists_);
      exists_ = *number;
    } else if (what == "EXPUNGE") {
      require(*number >= 1 && *number <= exists_);
      --exists_;
    } else if (what.starts_with("FETCH ")) {
      require(*number >= 1 && *number <= exists_);
    }
  }

  std::string heard_;
  std::uint64_t exists_ = 0;
  bool selecting_ = false;  ///< the line before was SELECT's PERMANENTFLAGS
};

}  // namespace

// How the account's clients know its mailboxes: an octet 0x02 to 0x04 in front chooses, anything else belongs to the first command.
const directory::NameView kViews[] = {{'.', "INBOX."}, {'.', ""}, {'\0', ""}};

// The input is cut at octets 0x01; the pieces go to the two sessions in turn.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  imap::testing::World world;
  std::string_view rest{reinterpret_cast<const char*>(data), size};
  if (!rest.empty() && rest.front() >= 2 && rest.front() <= 4) {
    world.set_names(kViews[rest.front() - 2]);
    rest.remove_prefix(1);
  }
  for (unsigned i = 0; i < 5; ++i) world.deliver("INBOX", imap::testing::World::sample(i));
  std::array<std::unique_ptr<net::ScriptedSession>, 2> sessions;
  std::array<Watcher, 2> clients;
  for (auto& session : sessions) {
    session = std::make_unique<net::ScriptedSession>(world.starter());
    session->run();
    session->send("l LOGIN alice secret\r\n");
  }
  for (std::size_t turn = 0; !rest.empty(); turn ^= 1) {
    const auto end = std::min(rest.find('\x01'), rest.size());
    if (!sessions[turn]->ended()) clients[turn].hear(sessions[turn]->send(rest.substr(0, end)));
    clients[turn ^ 1].hear(sessions[turn ^ 1]->run());
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  for (std::size_t i = 0; i < sessions.size(); ++i) clients[i].hear(sessions[i]->close());
  return 0;
}
