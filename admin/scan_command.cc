// The inventory of a platform, piece by piece, and how it is shown.
#include "admin/scan_command.h"

#include "admin/output.h"
#include "admin/output_mail.h"
#include "migrate/scan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <utility>

namespace relais::admin {
namespace {

using nlohmann::json;

constexpr std::size_t kAccountsPerRequest = 50;  // so that a platform may stop meanwhile, and the answer stays small
constexpr std::array<std::string_view, 3> kVerdicts{"red", "amber", "green"};

std::uint64_t number(const json& row, std::string_view key) { return row.value(std::string(key), std::uint64_t{0}); }

std::size_t rank(const json& row) {
  return static_cast<std::size_t>(std::ranges::find(kVerdicts, row.value("verdict", "")) - kVerdicts.begin());
}

// Only when all samples are there is it known what reading costs.
void forecast(json& rows) {
  migrate::ReadingCost cost;
  for (const auto& row : rows) cost.add(migrate::ReadingCost::of(row["cost"].get<std::vector<double>>()));
  for (auto& row : rows) {
    row.erase("cost");
    row["copy_seconds"] = cost.known() ? json(cost.estimate(number(row, "messages"), number(row, "octets")).count()) : json(nullptr);
  }
}

json totals_of(const json& rows, std::size_t failed, std::uint64_t connections) {
  json totals{{"accounts", rows.size()}, {"failed", failed}};
  for (const auto verdict : kVerdicts) totals[std::string(verdict)] = 0;
  std::map<std::string, std::uint64_t> codes;
  std::uint64_t mailboxes = 0;
  std::uint64_t messages = 0;
  std::uint64_t octets = 0;
  std::uint64_t freeze = 0;
  double copy = 0;
  double longest = 0;
  double per_day = 0;
  std::uint64_t octets_per_day = 0;
  for (const auto& row : rows) {
    auto& verdict = totals[row.value("verdict", "green")];
    verdict = verdict.get<std::uint64_t>() + 1;
    mailboxes += number(row, "mailboxes");
    messages += number(row, "messages");
    octets += number(row, "octets");
    freeze = std::max(freeze, number(row, "freeze_ms"));
    per_day += row.value("messages_per_day", 0.0);
    octets_per_day += number(row, "octets_per_day");
    if (!row["copy_seconds"].is_null()) {
      copy += row["copy_seconds"].get<double>();
      longest = std::max(longest, row["copy_seconds"].get<double>());
    }
    std::map<std::string, bool> seen;
    for (const auto& finding : row["findings"]) seen.emplace(finding.value("code", ""), true);
    for (const auto& [code, there] : seen) ++codes[code];
  }
  totals["mailboxes"] = mailboxes;
  totals["messages"] = messages;
  totals["octets"] = octets;
  totals["messages_per_day"] = per_day;
  totals["octets_per_day"] = octets_per_day;
  totals["longest_freeze_ms"] = freeze;
  // One account is read through one connection: with all of them busy it is the sum by their number, and never less than the longest.
  totals["copy_seconds"] = std::max(copy / static_cast<double>(connections), longest);
  totals["findings"] = codes;
  return totals;
}

std::string duration_text(const json& seconds) {
  if (!seconds.is_number()) return "-";
  const auto value = seconds.get<double>();
  if (value < 1) return fmt::format("{:.0f} ms", value * 1000);
  return age_text(static_cast<std::int64_t>(value + 0.5));
}

std::string codes_of(const json& row, std::string_view between) {
  std::vector<std::string> codes;
  for (const auto& finding : row["findings"]) {
    auto code = finding.value("code", "");
    if (std::ranges::find(codes, code) == codes.end()) codes.push_back(std::move(code));
  }
  std::string out;
  for (const auto& code : codes) out.append(out.empty() ? "" : between).append(code);
  return out;
}

std::string csv_field(std::string text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out.append(c == '"' ? 2 : 1, c);
  return out + "\"";
}

}  // namespace

Result<nlohmann::json> scan_platform(const Command& command, std::vector<std::string> addresses,
                                     const std::function<void(std::size_t done, std::size_t of)>& progress) {
  auto one = command;
  if (addresses.empty()) {
    one.operation = "migrate accounts";
    RELAIS_TRY(const auto listed, carry_out(one));
    addresses = listed["addresses"].get<std::vector<std::string>>();
  }
  one.operation = "migrate scan";
  auto rows = json::array();
  auto failed = json::array();
  bool stopped = false;
  for (std::size_t at = 0; at < addresses.size() && !stopped; at += kAccountsPerRequest) {
    progress(at, addresses.size());
    const auto end = std::min(addresses.size(), at + kAccountsPerRequest);
    one.request["addresses"] =
        std::vector<std::string>(addresses.begin() + static_cast<std::ptrdiff_t>(at), addresses.begin() + static_cast<std::ptrdiff_t>(end));
    RELAIS_TRY(auto result, carry_out(one));
    for (auto& row : result["accounts"]) (row.contains("error") ? failed : rows).push_back(std::move(row));
    stopped = rows.empty() && end < addresses.size();  // a wrong password of the master should not be tried on everybody
  }
  forecast(rows);
  std::sort(rows.begin(), rows.end(), [](const json& a, const json& b) {
    return std::pair(rank(a), a.value("address", "")) < std::pair(rank(b), b.value("address", ""));
  });
  auto totals = totals_of(rows, failed.size(), one.request.value("connections", std::uint64_t{4}));
  return json{{"platform", command.request.value("name", "")},
              {"accounts", std::move(rows)},
              {"failed", std::move(failed)},
              {"stopped", stopped},
              {"totals", std::move(totals)}};
}

std::string scan_csv(const nlohmann::json& result) {
  std::string out =
      "address,verdict,mailboxes,messages,octets,largest_octets,messages_per_day,octets_per_day,copy_seconds,freeze_ms,source,findings\r\n";
  for (const auto& row : result["accounts"]) {
    for (const auto* key :
         {"address", "verdict", "mailboxes", "messages", "octets", "largest_octets", "messages_per_day", "octets_per_day"})
      out += csv_field(json_text(row, key)) + ",";
    out += (row["copy_seconds"].is_null() ? "" : fmt::format("{:.3f}", row["copy_seconds"].get<double>())) + ",";
    out += json_text(row, "freeze_ms") + "," + csv_field(json_text(row, "source")) + "," + csv_field(codes_of(row, " ")) + "\r\n";
  }
  for (const auto& row : result["failed"])
    out += csv_field(json_text(row, "address")) + ",failed,,,,,,,,,," + csv_field(json_text(row, "error")) + "\r\n";
  return out;
}

std::string scan_text(const nlohmann::json& result) {
  const auto& totals = result["totals"];
  std::string out;
  if (!result["accounts"].empty()) {
    std::vector<std::vector<std::string>> rows{{"ADDRESS", "", "MAILBOXES", "MESSAGES", "SIZE", "PER DAY", "COPY", "FREEZE", "WHAT"}};
    for (const auto& row : result["accounts"]) {
      rows.push_back({json_text(row, "address"), json_text(row, "verdict"), json_text(row, "mailboxes"), json_text(row, "messages"),
                      human_octets(number(row, "octets")), fmt::format("{:.1f}", row.value("messages_per_day", 0.0)),
                      duration_text(row["copy_seconds"]), json_text(row, "freeze_ms") + " ms", codes_of(row, ", ")});
    }
    out += text_table(rows) + "\n";
  }
  for (const auto& row : result["accounts"]) {
    for (const auto& finding : row["findings"]) {
      if (finding.value("weight", "") == "note") continue;
      out += fmt::format("{}: {}{}: {}\n", json_text(row, "address"), json_text(finding, "weight"),
                         finding.contains("mailbox")
                             ? " " + json_text(finding, "mailbox") + (finding.contains("uid") ? " UID " + json_text(finding, "uid") : "")
                             : "",
                         json_text(finding, "text"));
    }
  }
  for (const auto& row : result["failed"]) out += fmt::format("{}: not read: {}\n", json_text(row, "address"), json_text(row, "error"));
  if (result.value("stopped", false)) out += "no account could be read so far, the others were not tried: relais legacy test tells more\n";
  if (totals["accounts"] == 0 && totals["failed"] == 0)
    return "no account lives there: relais account add ADDRESS --legacy NAME, or account import --legacy NAME\n";
  out += fmt::format("{} accounts: {} green, {} amber, {} red; {} not read\n", json_text(totals, "accounts"), json_text(totals, "green"),
                     json_text(totals, "amber"), json_text(totals, "red"), json_text(totals, "failed"));
  out += fmt::format("{} messages in {} mailboxes, {}; {:.0f} messages and {} come per day\n", json_text(totals, "messages"),
                     json_text(totals, "mailboxes"), human_octets(number(totals, "octets")), totals.value("messages_per_day", 0.0),
                     human_octets(number(totals, "octets_per_day")));
  out += fmt::format("copying takes about {} of reading, the longest freeze about {} ms\n", duration_text(totals["copy_seconds"]),
                     json_text(totals, "longest_freeze_ms"));
  return out;
}

}  // namespace relais::admin
