// One step in the life of a message, and the line that a trace file has for it.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace relais::smtp {

/// What happened.
enum class TraceKind : std::uint8_t {
  received,   ///< taken from a client or made here: the first event of each message. host: the client
  refused,    ///< a recipient or the whole message was refused in the session. reply: ours
  policy,     ///< a verdict, a limit, a repair, a signature. detail says which
  delivered,  ///< put into a mailbox. detail: where
  queued,     ///< accepted into the queue. host: the destination
  attempt,    ///< a host was tried and gave no answer about the recipients: not reached, TLS failed, closed. detail: why
  deferred,   ///< will be tried again. reply: the remote's, detail: when
  bounced,    ///< failed for good. reply: the remote's or ours
  relayed,    ///< another host took it. host: which, reply: its words
  expanded,   ///< an alias led to other addresses. to: those, detail: the alias
  held,       ///< by an admin, or because nobody can be told
  released,   ///< from being held
  dropped,    ///< removed by an admin without a notice
  notice,     ///< a report about this message was sent. to: who got it, detail: which kind and its trace id
};
inline constexpr std::size_t kTraceKinds = static_cast<std::size_t>(TraceKind::notice) + 1;

std::string_view to_string(TraceKind kind) noexcept;
std::optional<TraceKind> trace_kind(std::string_view name) noexcept;

/// Everything but `id` and `kind` may be empty. Texts may hold anything: they are escaped, and cut at kMaxTraceText.
struct TraceEvent {
  std::string id;  ///< trace id of the message
  TraceKind kind = TraceKind::received;
  std::int64_t time = 0;          ///< milliseconds since epoch; 0: now
  std::string from{};             ///< reverse-path without brackets; kept in lower case
  std::vector<std::string> to{};  ///< recipients that this is about; kept in lower case
  std::string message_id{};       ///< of the Message-ID field, with or without angle brackets; kept without
  std::string parent{};    ///< trace id of the message that this one came from: the one a report is about, the one that was forwarded
  std::string host{};      ///< the other side: client or remote, "name [address]:port", or a queue destination
  std::string reply{};     ///< "250 2.0.0 ok"
  std::string detail{};    ///< one line for people
  std::uint64_t size = 0;  ///< octets of the message; 0: not said
  friend bool operator==(const TraceEvent&, const TraceEvent&) = default;
};

inline constexpr std::size_t kMaxTraceText = 1'024;      ///< octets of host, reply, detail and of one address; the rest is cut
inline constexpr std::size_t kMaxTraceRecipients = 500;  ///< of one line; an event with more becomes several lines

/// Appends the event as one or more lines of JSON, each with LF: {"id":…,"time":"2026-01-31T12:34:56.789Z","kind":…, …}. "id" is first.
void append_trace_lines(std::string& out, const TraceEvent& event);

/// Reads a line back. nullopt where it is not one (a line torn by a crash, or of a newer release).
std::optional<TraceEvent> parse_trace_line(std::string_view line);

/// Milliseconds since epoch as in the line, and in the report of a search.
std::string trace_time(std::int64_t milliseconds);

/// What a text is in a line, between its quotes: cleaned, escaped and cut. The same text always gives the same octets.
std::string trace_text(std::string_view text);

}  // namespace relais::smtp
