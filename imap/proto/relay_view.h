// What a relayed IMAP session has come to, from the octets of both directions as they pass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace relais::imap {

/// How much of a line is looked at before any of it passes. Octets.
struct RelayViewLimits {
  std::size_t front = 512;              ///< tag and keyword of a command, the beginning of a response
  std::size_t capabilities = 8 * 1024;  ///< a line with a capability list; longer ones pass as they are
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
/// Pure: no I/O, no clock. Threads: one. Source: RFC 9051 §2.2, §4.3, §6.3.13, §7; RFC 7888 §3; RFC 4978 §3.
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
  enum class Line : std::uint8_t { data, status, tagged, go_ahead, capability };

  bool client_step(std::string_view octets, RelayStep& step);
  bool begin_command(std::string_view rest, RelayStep& step);
  bool pass_line(std::string_view rest, RelayStep& step);
  void swallow(std::string_view rest, RelayStep& step);
  /// False where more of the line is needed.
  bool classify(std::string_view rest, Line& line);
  bool replace_list(std::string_view rest, RelayStep& step);
  void end_of_line(Line line);
  void give_answer();
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
  std::string answer_;
  std::string client_tail_;  ///< of the present line, as much as passed before
  std::string server_tail_;
  std::string out_;
};

/// The list for a relayed session: what the platform announces after login, but for STARTTLS, LOGINDISABLED, AUTH=, SASL-IR, COMPRESS=,
/// UNAUTHENTICATE, and NOTIFY, which is about more than the commands that pass. Without duplicates,
/// in the spelling that clients expect. @param server  in any case
std::vector<std::string> relay_capabilities(const std::vector<std::string>& server);

}  // namespace relais::imap
