// What a command of a relayed client means for whoever has to go on with its session.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "imap/proto/values.h"

namespace relais::imap {

/// What follows from a command once its server has said OK to it.
struct RelayedCommand {
  enum class Kind : std::uint8_t {
    other,
    select,  ///< or EXAMINE
    leave,   ///< CLOSE, UNSELECT
  };
  Kind kind = Kind::other;
  bool examine = false;
  bool known = true;       ///< we serve it too, with all of its arguments
  bool condstore = false;  ///< it enables CONDSTORE (RFC 7162 §3.1)
  bool saves = false;      ///< it leaves a search result behind (RFC 5182)
  std::string mailbox{};   ///< of `select`: what stands behind the keyword; empty where a literal does
};

/// Our own parsers are the judges: what they do not take, we lack. A value that they refuse, such as a name of a mailbox, is none of that.
///
/// @param text  the command without its final line end, each literal replaced by kLiteralStandIn; of an APPEND there is AppendFollower
RelayedCommand judge_command(std::string_view text, Dialect dialect);

/// Takes the place of a literal, whose octets nobody has looked at.
inline constexpr std::string_view kLiteralStandIn = "\"?\"";

/// Follows an APPEND (RFC 3502), whose messages are literals and which has literals that are none.
class AppendFollower {
 public:
  /// A literal is announced. @param text  behind the last message, or from the tag on; as for judge_command(), it ends in the announcement
  /// @return true where it is a message: then what follows it is a text of its own
  bool at_literal(std::string_view text, Dialect dialect);
  /// @param text  the rest of the command  @return whether we would have understood all of it
  bool at_end(std::string_view text, Dialect dialect);

 private:
  bool begun_ = false;
  bool utf8_ = false;
  bool known_ = true;
};

}  // namespace relais::imap
