// What a relayed IMAP session has come to, from the octets of both directions as they pass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "imap/proto/relayed_command.h"

namespace relais::imap {

/// How much of a line is looked at before any of it passes. Octets.
struct RelayViewLimits {
  std::size_t front = 512;              ///< tag and keyword of a command, the beginning of a response
  std::size_t capabilities = 8 * 1024;  ///< a line with a capability list, VANISHED or ENABLED; longer ones pass as they are
  std::size_t command = 64 * 1024;      ///< of a command without its literals, to know what it means; longer ones we do not serve either
  std::size_t outstanding = 1'024;      ///< commands without their tagged reply that are followed each
};

/// What a session has come to, as far as another one must know it that goes on in its place.
struct RelayedState {
  enum class Mailbox : std::uint8_t { none, selected, unsure };
  Mailbox mailbox = Mailbox::none;
  // Of the selected one:
  std::string select{};  ///< what stood behind SELECT or EXAMINE
  bool utf8 = false;     ///< the dialect that it is in
  bool read_only = false;
  bool saved = false;  ///< a search result (RFC 5182)
  std::uint32_t uid_validity = 0;
  std::uint32_t exists = 0;  ///< messages that the client knows of
  // Of the session:
  bool condstore = false;  ///< by any command that enables it (RFC 7162 §3.1)
  bool qresync = false;
  bool utf8_accept = false;
  bool rev2 = false;
};

/// What to do with octets that were shown, in the order of the members. As net::Passage, which this folder does not know.
struct RelayStep {
  std::size_t pass = 0;
  std::string_view instead{};  ///< valid until the next call of the same direction
  std::size_t drop = 0;
  std::uint64_t unseen = 0;  ///< a literal: so many octets more need not be shown
  bool hold = false;         ///< nothing more of this direction until client_may_go_on() (of the client), or hold_at_boundary(false)
};

/// Follows an IMAP session that is past its login. To be called again with what was neither passed nor dropped, and more behind it.
///
/// The server's direction is scanned, not parsed: line ends, the literal at the end of a line, and the beginnings of lines. Nothing is
/// allocated per line. What it says does not depend on how octets were cut. What it does not understand passes.
///
/// It changes three things. Capability lists of the server, untagged or as a response code, become the one that it was given. STARTTLS,
/// AUTHENTICATE, LOGIN and UNAUTHENTICATE of the client are answered BAD, and COMPRESS NO, in place of the server: the client is held
/// from there on until what it said before has been answered, and the answer stands where it belongs.
///
/// A client is also held behind `{n}` and IDLE until the server has said "+" or refused: only then is it known what its next octets are.
///
/// Beside that it learns what a session elsewhere needs to go on: which mailbox is selected and how many messages the client knows, what
/// is enabled, and whether everything that was used is served by us too. Commands are judged by our own parsers when they are whole, and
/// count once the server has said OK. Where it could not follow, obstacle() says so.
///
/// Pure: no I/O, no clock. Threads: one. Source: RFC 9051 §2.2, §4.3, §6.3.13, §7; RFC 7888 §3; RFC 4978 §3; RFC 7162 §3.
class RelayView {
 public:
  /// @param capabilities  what the client is told in place of the server's lists; see relay_capabilities()
  explicit RelayView(const std::vector<std::string>& capabilities, RelayViewLimits limits = {});

  RelayStep from_client(std::string_view octets);
  /// Call it, with no octets too, whenever from_client() has held.
  RelayStep from_server(std::string_view octets);
  /// The client is not held for the server's sake (any more): from_client() is to be called, whether or not octets have come.
  bool client_may_go_on() const noexcept;

  /// From now on both directions are held at the next boundary; false: they go on.
  void hold_at_boundary(bool hold) noexcept { hold_ = hold; }
  /// Every command that passed has had its tagged reply passed (but for an IDLE, whose "+" has passed), and neither direction is within a
  /// line or literal.
  bool at_boundary() const noexcept;
  /// The server is between two responses: a line of our own may be put in.
  bool server_between_lines() const noexcept { return server_ == Server::front; }
  /// The tag of the IDLE that is in progress (its "+" has passed, no DONE has come); empty: none.
  std::string_view idle_tag() const noexcept { return client_ == Client::idle ? std::string_view(tag_) : std::string_view{}; }
  /// The server has said BYE.
  bool said_bye() const noexcept { return bye_; }
  /// Commands without their tagged reply.
  std::uint64_t outstanding() const noexcept { return outstanding_; }

  /// Complete at a boundary. Use it only where there is no obstacle().
  const RelayedState& state() const noexcept { return state_; }
  /// Why nobody can go on exactly where this session is; for the log. Empty: it can be done.
  std::string_view obstacle() const noexcept;

 private:
  enum class Client : std::uint8_t {
    head,           ///< before a command
    line,           ///< within one
    await_literal,  ///< behind `{n}`
    give_literal,   ///< the server wants it
    await_idle,     ///< behind IDLE
    idle,           ///< before DONE
    done,           ///< within it
    swallow,        ///< within a command that is answered here
    await_turn,     ///< behind one, which is not answered yet
  };
  enum class Server : std::uint8_t { front, line };
  enum class Line : std::uint8_t { data, status, tagged, go_ahead, capability, vanished, enabled };
  /// What the server's present line says, where that matters.
  enum class Event : std::uint8_t { none, exists, expunge, ok, no, bad };
  enum class Code : std::uint8_t { none, uid_validity, read_only, read_write, closed };

  struct Command {
    std::string tag;
    std::string keyword{};
    bool complete = false;  ///< all of it has passed, and `meaning` is known
    bool answered = false;
    RelayedCommand meaning{};
  };
  /// A mailbox that is being selected.
  struct Candidate {
    bool told = false;    ///< EXISTS
    bool closed = false;  ///< the one before it is gone (RFC 9051 §6.3.2)
    std::uint32_t uid_validity = 0;
    std::uint32_t exists = 0;
  };

  bool client_step(std::string_view octets, RelayStep& step);
  bool begin_command(std::string_view rest, RelayStep& step);
  bool pass_line(std::string_view rest, RelayStep& step);
  void swallow(std::string_view rest, RelayStep& step);
  /// False where more of the line is needed.
  bool classify(std::string_view rest, Line& line);
  bool replace_list(std::string_view rest, RelayStep& step);
  void end_of_line(Line line);
  void give_answer();

  // what the client's commands mean
  void begin_following(std::string_view keyword, bool long_tag);
  void gather(std::string_view passed);
  void gather_literal();
  void end_of_command(std::string_view text);
  void forget_text() noexcept;
  Dialect dialect() const noexcept { return {state_.rev2 || state_.utf8_accept}; }

  // what the server's lines say
  bool classify_number(std::string_view behind, bool much, Line& line);
  bool read_code(std::string_view text);
  void told(Line line, std::string_view text);
  void tagged_reply();
  void apply(const Command& command, bool oldest);
  void selected(const RelayedCommand& meaning, bool oldest);
  void untagged_status();
  void counted();
  void vanished(std::uint64_t count);
  void enabled(std::string_view extension);
  void tidy_commands();
  bool selecting() const noexcept;
  void leave_mailbox(RelayedState::Mailbox to);
  void doubt(std::string_view why, std::string_view what = {});
  bool answer_is_due() const noexcept { return client_ == Client::await_turn && outstanding_ == 0; }

  RelayViewLimits limits_;
  std::string list_;  ///< "CAPABILITY IMAP4rev1 …"
  Client client_ = Client::head;
  Server server_ = Server::front;
  Line line_ = Line::data;  ///< the server's present one
  bool hold_ = false;
  bool bye_ = false;
  bool idles_ = false;      ///< the present command is IDLE
  bool own_reply_ = false;  ///< the server's present line has the present command's tag
  std::uint64_t outstanding_ = 0;
  std::uint64_t literal_ = 0;  ///< octets of the client's that the server was asked about, or that are swallowed
  std::string tag_;            ///< of the present command
  // of it, where it was not whole at once:
  std::string text_;  ///< what has passed, kLiteralStandIn for each literal
  bool too_long_ = false;
  bool listed_ = false;  ///< it is the last of commands_
  bool appends_ = false;
  AppendFollower append_;

  std::vector<Command> commands_;  ///< from first_ on those without their reply, in order; some behind the first may have had theirs
  std::size_t first_ = 0;
  RelayedState state_;
  Candidate candidate_;
  std::string doubt_;
  // of the server's present line:
  Event event_ = Event::none;
  Code code_ = Code::none;
  std::uint32_t number_ = 0;  ///< of event_ or code_
  std::string reply_tag_;

  std::string answer_;
  std::string client_tail_;  ///< of the present line, as much as passed before
  std::string server_tail_;
  std::string out_;
};

/// The list for a relayed session: what the platform announces after login, but for STARTTLS, LOGINDISABLED, AUTH=, SASL-IR, COMPRESS=,
/// UNAUTHENTICATE, and NOTIFY, which is about more than the commands that pass. Without duplicates,
/// in the spelling that clients expect. @param server  in any case
std::vector<std::string> relay_capabilities(const std::vector<std::string>& server);

/// What of it we have too, for sessions that may have to go on here. A limit that both announce: the smaller one.
/// @param relayed  from relay_capabilities()  @param ours  what our own sessions announce after login
std::vector<std::string> common_capabilities(const std::vector<std::string>& relayed, const std::vector<std::string>& ours);

}  // namespace relais::imap
