// Trace events as lines of JSON, and back.
#include "smtp/trace/event.h"

#include "base/ascii.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <ctime>

namespace relais::smtp {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, kTraceKinds> kNames{"received", "refused",  "policy",  "delivered", "queued",
                                                           "attempt",  "deferred", "bounced", "relayed",   "expanded",
                                                           "held",     "released", "dropped", "notice"};

// Octets of the well-formed UTF-8 character at the front of the text, 0 where there is none.
std::size_t character(std::string_view text) noexcept {
  const auto lead = static_cast<unsigned char>(text.front());
  const std::size_t size = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  return size != 0 && size <= text.size() && (size == 1 || is_utf8(text.substr(0, size))) ? size : 0;
}

// The contents of a JSON string. Line ends become spaces, other control characters (also those above 0x7f, which move a terminal's cursor)
// and octets that are not UTF-8 become "?", so that a line is a line and two escapings of one text are the same octets: the search relies
// on it.
void append_text(std::string& out, std::string_view text) {
  std::size_t left = kMaxTraceText;
  while (!text.empty()) {
    const auto size = character(text);
    const auto c = static_cast<unsigned char>(text.front());
    if (std::max<std::size_t>(size, 1) > left) {
      out += "...";
      return;
    }
    if (c == '"' || c == '\\') {
      out += '\\';
      out += text.front();
    } else if (c == '\n' || c == '\t') {
      out += ' ';
    } else if (size == 0 || c < 0x20 || c == 0x7f || (c == 0xc2 && static_cast<unsigned char>(text[1]) < 0xa0)) {
      if (c != '\r') out += '?';
    } else {
      out.append(text.substr(0, size));
    }
    left -= std::max<std::size_t>(size, 1);
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
}

void append_member(std::string& out, std::string_view key, std::string_view text) {
  if (text.empty()) return;
  out.append(",\"").append(key).append("\":\"");
  append_text(out, text);
  out += '"';
}

std::string_view without_brackets(std::string_view message_id) noexcept {
  message_id = trim(message_id);
  if (message_id.starts_with('<')) message_id.remove_prefix(1);
  if (message_id.ends_with('>')) message_id.remove_suffix(1);
  return message_id;
}

void append_digits(std::string& out, std::int64_t number, int digits) {
  std::array<char, 8> text{};
  for (int i = digits - 1; i >= 0; --i, number /= 10) text[static_cast<std::size_t>(i)] = static_cast<char>('0' + number % 10);
  out.append(text.data(), static_cast<std::size_t>(digits));
}

std::optional<std::int64_t> parse_time(std::string_view text) {
  // 2026-01-31T12:34:56.789Z
  if (text.size() != 24 || text[10] != 'T' || text[19] != '.' || text[23] != 'Z') return std::nullopt;
  std::tm tm{};
  const std::string seconds(text.substr(0, 19));
  if (const auto* end = ::strptime(seconds.c_str(), "%Y-%m-%dT%H:%M:%S", &tm); end == nullptr || *end != '\0') return std::nullopt;
  const auto milliseconds = parse_u64(text.substr(20, 3));
  if (!milliseconds) return std::nullopt;
  return static_cast<std::int64_t>(::timegm(&tm)) * 1'000 + static_cast<std::int64_t>(*milliseconds);
}

std::string text_of(const json& line, const char* key) {
  const auto found = line.find(key);
  return found != line.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

std::string_view to_string(TraceKind kind) noexcept { return kNames[static_cast<std::size_t>(kind)]; }

std::optional<TraceKind> trace_kind(std::string_view name) noexcept {
  const auto found = std::ranges::find(kNames, name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<TraceKind>(found - kNames.begin());
}

std::string trace_time(std::int64_t milliseconds) {
  const auto second = static_cast<std::time_t>(milliseconds / 1'000);
  std::tm tm{};
  ::gmtime_r(&second, &tm);
  std::string out;
  append_digits(out, tm.tm_year + 1'900, 4);
  append_digits(out += '-', tm.tm_mon + 1, 2);
  append_digits(out += '-', tm.tm_mday, 2);
  append_digits(out += 'T', tm.tm_hour, 2);
  append_digits(out += ':', tm.tm_min, 2);
  append_digits(out += ':', tm.tm_sec, 2);
  append_digits(out += '.', milliseconds % 1'000, 3);
  return out += 'Z';
}

std::string trace_text(std::string_view text) {
  std::string out;
  append_text(out, text);
  return out;
}

void append_trace_lines(std::string& out, const TraceEvent& event) {
  const auto time = trace_time(event.time);
  std::size_t at = 0;
  do {
    out += "{\"id\":\"";
    append_text(out, event.id);
    out.append("\",\"time\":\"").append(time).append("\",\"kind\":\"").append(to_string(event.kind)) += '"';
    append_member(out, "from", to_lower(event.from));
    if (!event.to.empty()) {
      out += ",\"to\":[";
      const auto end = std::min(event.to.size(), at + kMaxTraceRecipients);
      for (auto i = at; i < end; ++i) {
        out += i == at ? "\"" : ",\"";
        append_text(out, to_lower(event.to[i]));
        out += '"';
      }
      out += ']';
      at = end;
    }
    append_member(out, "message_id", without_brackets(event.message_id));
    append_member(out, "parent", event.parent);
    append_member(out, "host", event.host);
    append_member(out, "reply", event.reply);
    append_member(out, "detail", event.detail);
    if (event.size != 0) append_number(out.append(",\"size\":"), event.size);
    out += "}\n";
  } while (at < event.to.size());
}

std::optional<TraceEvent> parse_trace_line(std::string_view line) {
  const auto value = json::parse(line, nullptr, false);
  if (!value.is_object()) return std::nullopt;
  TraceEvent event;
  event.id = text_of(value, "id");
  const auto kind = trace_kind(text_of(value, "kind"));
  const auto time = parse_time(text_of(value, "time"));
  if (event.id.empty() || !kind || !time) return std::nullopt;
  event.kind = *kind;
  event.time = *time;
  event.from = text_of(value, "from");
  if (const auto to = value.find("to"); to != value.end() && to->is_array()) {
    for (const auto& address : *to) {
      if (address.is_string()) event.to.push_back(address.get<std::string>());
    }
  }
  event.message_id = text_of(value, "message_id");
  event.parent = text_of(value, "parent");
  event.host = text_of(value, "host");
  event.reply = text_of(value, "reply");
  event.detail = text_of(value, "detail");
  if (const auto size = value.find("size"); size != value.end() && size->is_number_unsigned()) event.size = size->get<std::uint64_t>();
  return event;
}

}  // namespace relais::smtp
