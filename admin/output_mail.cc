// Lists and life stories of mail, for terminals.
#include "admin/output_mail.h"

#include "admin/output.h"
#include "base/clock.h"

#include <fmt/format.h>

#include <ctime>

namespace relais::admin {
namespace {

using nlohmann::json;
using Row = std::vector<std::string>;

std::string text(const json& row, std::string_view key) { return json_text(row, key); }
std::int64_t number(const json& row, std::string_view key) { return row.value(std::string(key), std::int64_t{0}); }

std::string sender_text(const json& row) {
  const auto sender = text(row, "sender");
  return sender.empty() ? "<>" : sender;
}

std::string plural(std::int64_t n, std::string_view one, std::string_view many) { return fmt::format("{} {}", n, n == 1 ? one : many); }

std::string when(const json& job, std::int64_t now) {
  if (job.value("held", false)) return "held";
  if (job.value("active", false)) return "now";
  const auto due = number(job, "due");
  return due <= now ? "due" : "in " + age_text(due - now);
}

std::string first_recipients(const json& job) {
  const auto& recipients = job["recipients"];
  if (recipients.empty()) return "";
  auto out = text(recipients[0], "address");
  if (recipients.size() > 1) out += fmt::format(" and {} more", recipients.size() - 1);
  return out;
}

std::string routes(const json& result) {
  if (result["routes"].empty()) return "no routes: mail is sent where the DNS says\n";
  std::vector<Row> rows{{"DOMAIN", "TARGET", "TLS", "AUTH"}};
  for (const auto& row : result["routes"]) rows.push_back({text(row, "domain"), text(row, "target"), text(row, "tls"), text(row, "user")});
  return text_table(rows);
}

std::string queue_list(const json& result) {
  const auto now = system_clock().seconds();
  if (result["jobs"].empty()) return number(result, "messages") == 0 ? "the queue is empty\n" : "nothing in the queue fits\n";
  std::vector<Row> rows{{"ID", "AGE", "SIZE", "NEXT", "TRIES", "DESTINATION", "SENDER", "RECIPIENT"}};
  std::string out;
  for (const auto& job : result["jobs"]) {
    rows.push_back({text(job, "trace_id"), age_text(now - number(job, "arrival")), human_octets(static_cast<std::uint64_t>(number(job, "size"))), when(job, now),
                    text(job, "attempts"), text(job, "destination"), sender_text(job), first_recipients(job)});
  }
  out = text_table(rows) + plural(number(result, "messages"), "message", "messages") + " in the queue\n";
  if (const auto next = text(result, "next"); !next.empty()) out += "there are more: --after " + next + "\n";
  return out;
}

std::string job_text(const json& job, std::int64_t now) {
  std::string out = fmt::format("  to {} ({}; {}; next attempt {})\n", text(job, "destination"), text(job, "id"), plural(number(job, "attempts"), "attempt", "attempts"), when(job, now));
  for (const auto& recipient : job["recipients"]) {
    out += "    " + text(recipient, "address");
    if (const auto given = text(recipient, "given"); !given.empty()) out += " (for " + given + ")";
    out += ": " + text(recipient, "state");
    if (const auto reply = text(recipient, "reply"); !reply.empty()) out += ", " + reply;
    out += '\n';
  }
  return out;
}

std::string queue_show(const json& result) {
  const auto now = system_clock().seconds();
  std::string out;
  for (const auto& message : result["messages"]) {
    out += text_table({{"trace id", text(message, "trace_id")},
                       {"sender", sender_text(message)},
                       {"Message-ID", text(message, "message_id")},
                       {"from", text(message, "client")},
                       {"size", human_octets(static_cast<std::uint64_t>(number(message, "size")))},
                       {"arrived", time_text(number(message, "arrival"))},
                       {"given up", time_text(number(message, "expires"))}});
    for (const auto& job : message["jobs"]) out += job_text(job, now);
    out += "\n" + text(message, "header") + "\n";
  }
  return out;
}

std::string queue_why(const json& result) {
  if (result["why"].empty()) return "nothing about " + text(result, "what") + " is in the queue; relais trace tells what became of it\n";
  std::string out;
  for (const auto& sentence : result["why"]) out += sentence.get<std::string>() + "\n";
  return out;
}

std::string queue_destinations(const json& result) {
  const auto now = system_clock().seconds();
  std::vector<Row> rows{{"DESTINATION", "CONNECTIONS", "FAILURES", "STATE"}};
  for (const auto& row : result["destinations"]) {
    const auto gate = number(row, "gate_until");
    const auto state = gate > now ? fmt::format("shut for {}: {}", age_text(gate - now), text(row, "trouble")) : "open";
    rows.push_back({text(row, "destination"), text(row, "connections") + "/" + text(row, "limit"), text(row, "failures"), state});
  }
  return text_table(rows) + plural(number(result, "messages"), "message", "messages") + " in the queue, " +
         plural(number(result, "active"), "attempt", "attempts") + " under way\n";
}

std::string acted(std::string_view done, const json& result) {
  auto out = fmt::format("{} {}", plural(number(result, "jobs"), "job", "jobs"), done);
  if (number(result, "messages") != 0) out += ", " + plural(number(result, "messages"), "message has", "messages have") + " left the queue";
  if (number(result, "active") != 0) out += fmt::format("; {} being tried at this moment, which may still succeed", number(result, "active"));
  return out + "\n";
}

std::string event_text(const json& event) {
  auto out = fmt::format("  {}  {:<9}", text(event, "time"), text(event, "kind"));
  const auto kind = text(event, "kind");
  if (event.contains("from") || kind == "received") out += " from " + (event.contains("from") ? text(event, "from") : std::string("<>"));
  if (event.contains("to")) {
    const auto& to = event["to"];
    constexpr std::size_t kShown = 5;
    out += " to";
    for (std::size_t i = 0; i < std::min(to.size(), kShown); ++i) out += (i == 0 ? " " : ", ") + to[i].get<std::string>();
    if (to.size() > kShown) out += fmt::format(" and {} more", to.size() - kShown);
  }
  if (event.contains("host")) out += (kind == "received" ? " by way of " : " at ") + text(event, "host");
  if (event.contains("size")) out += ", " + human_octets(event["size"].get<std::uint64_t>());
  if (event.contains("reply")) out += ": " + text(event, "reply");
  if (event.contains("detail")) out += " (" + text(event, "detail") + ")";
  return out + "\n";
}

std::string traces(const json& result) {
  if (result["messages"].empty()) return "nothing is known of " + text(result, "what") + "\n";
  std::string out;
  for (const auto& message : result["messages"]) {
    if (!out.empty()) out += '\n';
    out += text(message, "id");
    std::string message_id;
    std::string parent;
    for (const auto& event : message["events"]) {
      if (message_id.empty()) message_id = text(event, "message_id");
      if (parent.empty()) parent = text(event, "parent");
    }
    if (!message_id.empty()) out += "  <" + message_id + ">";
    if (!parent.empty()) out += "  came from " + parent;
    out += '\n';
    for (const auto& event : message["events"]) out += event_text(event);
    if (message.value("cut", false)) out += "  … and more: --events N\n";
    for (const auto& place : message["now"]) out += "  now: " + place.get<std::string>() + "\n";
  }
  return out;
}

std::string dns(const json& result) {
  std::string out = fmt::format("{} is served by {}", text(result, "domain"), text(result, "hostname"));
  std::string addresses;
  for (const auto& address : result["addresses"]) addresses += (addresses.empty() ? "" : ", ") + address.get<std::string>();
  out += addresses.empty() ? ", which has no address in the DNS\n" : " [" + addresses + "]\n";
  if (!result.value("local_domain", true)) out += "note: the platform takes no mail for it yet: relais domain add " + text(result, "domain") + "\n";
  for (const auto& row : result["records"]) {
    out += fmt::format("\n{:<8} {} {}\n", text(row, "state"), text(row, "name"), text(row, "type"));
    // What is there and good need not be told again; else the line for the zone file.
    if (text(row, "state") != "ok") out += "         should be: " + text(row, row.contains("zone") ? "zone" : "value") + "\n";
    for (const auto& published : row["published"]) out += "         published: " + published.get<std::string>() + "\n";
    if (row.contains("trouble"))
      out += (text(row, "state") == "unknown" ? "         no answer: " : "         but: ") + text(row, "trouble") + "\n";
    out += "         " + text(row, "why") + "\n";
  }
  return out;
}

std::string key_text(const json& key) {
  return fmt::format("{} of {} ({}, {})\npublish: {}\n", text(key, "selector"), text(key, "domain"), text(key, "algorithm"), text(key, "state"),
                     text(key["record"], "zone"));
}

std::string dkim_add(const json& result) {
  std::string out;
  bool pending = false;
  for (const auto& key : result["keys"]) {
    out += (out.empty() ? "" : "\n") + key_text(key);
    pending = pending || text(key, "state") == "pending";
  }
  if (pending) out += "\nA pending key does not sign yet: publish its record, wait for it to be seen, then relais dkim activate, and retire the old one.\n";
  if (!result.value("local_domain", true)) out += "\nnote: " + text(result, "domain") + " is no domain of this platform\n";
  return out;
}

std::string dkim_retire(const json& result) {
  return fmt::format(
      "{0} of {1} signs no more\nleave its record published until the mail that it signed has arrived, a week or so; then: relais dkim rm "
      "{1} {0}\n",
      text(result, "selector"), text(result, "domain"));
}

std::string dkim_list(const json& result) {
  std::vector<Row> rows{{"DOMAIN", "SELECTOR", "ALGORITHM", "STATE", "CREATED"}};
  for (const auto& key : result["keys"]) {
    rows.push_back({text(key, "domain"), text(key, "selector"), text(key, "algorithm"), text(key, "state"), time_text(number(key, "created"))});
  }
  return result["keys"].empty() ? "no keys: relais dkim add DOMAIN makes them\n" : text_table(rows);
}

std::string sending(const json& result) {
  if (result["accounts"].empty()) return "no account has met its sending limits within a day\n";
  std::vector<Row> rows{{"ACCOUNT", "REFUSED", "SINCE", "MESSAGES/H", "MESSAGES/DAY", "RECIPIENTS/H", "RECIPIENTS/DAY"}};
  for (const auto& row : result["accounts"]) {
    rows.push_back({text(row, "address"), text(row, "refused"), time_text(number(row, "since")), text(row, "messages_hour"), text(row, "messages_day"),
                    text(row, "recipients_hour"), text(row, "recipients_day")});
  }
  return text_table(rows);
}

}  // namespace

std::string time_text(std::int64_t seconds) {
  if (seconds == 0) return "-";
  const auto time = static_cast<std::time_t>(seconds);
  std::tm tm{};
  ::gmtime_r(&time, &tm);
  char out[32] = {};
  return {out, std::strftime(out, sizeof out, "%Y-%m-%d %H:%M:%SZ", &tm)};
}

std::string age_text(std::int64_t seconds) {
  if (seconds < 0) seconds = 0;
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3'600) return fmt::format("{}m", seconds / 60);
  if (seconds < 86'400) return fmt::format("{}h {}m", seconds / 3'600, seconds / 60 % 60);
  return fmt::format("{}d {}h", seconds / 86'400, seconds / 3'600 % 24);
}

std::optional<std::string> mail_text(std::string_view operation, const json& result) {
  if (operation == "route list") return routes(result);
  if (operation == "route set") return fmt::format("mail for {} goes to {} from now on\n", text(result, "domain"), text(result, "target"));
  if (operation == "queue list") return queue_list(result);
  if (operation == "queue show") return queue_show(result);
  if (operation == "queue why") return queue_why(result);
  if (operation == "queue destinations") return queue_destinations(result);
  if (operation == "queue retry") return acted("will be tried at once", result);
  if (operation == "queue hold") return acted("held", result);
  if (operation == "queue release") return acted("released", result);
  if (operation == "queue drop") return acted("dropped", result);
  if (operation == "trace") return traces(result);
  if (operation == "dns") return dns(result);
  if (operation == "dkim add") return dkim_add(result);
  if (operation == "dkim list") return dkim_list(result);
  if (operation == "dkim activate") return key_text(result);
  if (operation == "dkim retire") return dkim_retire(result);
  if (operation == "sending list") return sending(result);
  return std::nullopt;
}

}  // namespace relais::admin
