// Structured logs: one event a line, as logfmt or JSON, on standard error.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace relais::log {

enum class Level : std::uint8_t { debug, info, warning, error };
enum class Format : std::uint8_t { logfmt, json };

/// One key and its value. Values are quoted and escaped where the format needs it; control characters never reach the log raw.
struct Field {
  template <std::integral T>
  Field(std::string_view k, T v) : key(k), number(static_cast<std::int64_t>(v)), is_number(true) {}
  Field(std::string_view k, bool v) : key(k), text(v ? "true" : "false") {}
  Field(std::string_view k, std::string_view v) : key(k), text(v) {}
  Field(std::string_view k, const std::string& v) : key(k), text(v) {}
  Field(std::string_view k, const char* v) : key(k), text(v) {}
  std::string_view key;
  std::string_view text{};
  std::int64_t number = 0;
  bool is_number = false;
};

/// Sets level and format for the process. Call before the first event, or at a reload.
void configure(Level level, Format format);
/// True where an event of that level would be written: lets callers skip costly fields.
bool enabled(Level level) noexcept;
/// Writes `ts=… level=… event=NAME key=value …`. Threads: any. Never blocks for long: lines go through a bounded queue to one writer;
/// a line that does not fit is dropped and counted (metric relais_log_dropped_total).
void event(Level level, std::string_view name, std::initializer_list<Field> fields);
/// What is queued is written when this returns (at exit, and in tests), unless nobody takes it for 5 seconds.
void flush();
/// Tests: lines go to this function in place of standard error; nullptr puts it back.
void capture(void (*sink)(std::string_view line));

/// The log of one session: every line carries `session=ID` (and `proto=…`, `peer=…`), so that all lines of a session can be found by it.
class Session {
 public:
  /// @param protocol "imap", "smtp", …   @param id as made by new_session_id()   @param peer address of the client
  Session(std::string_view protocol, std::string id, std::string peer) : protocol_(protocol), id_(std::move(id)), peer_(std::move(peer)) {}
  void event(Level level, std::string_view name, std::initializer_list<Field> fields) const;
  const std::string& id() const noexcept { return id_; }
  const std::string& peer() const noexcept { return peer_; }

 private:
  std::string_view protocol_;
  std::string id_;
  std::string peer_;
};

/// A short id unique in this process and very likely beyond it: 12 characters of [a-z0-9].
std::string new_session_id();

}  // namespace relais::log
