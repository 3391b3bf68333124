// What people see of moves.
#include "admin/moves_command.h"

#include "admin/cli.h"
#include "admin/output.h"
#include "admin/output_mail.h"

#include <fmt/format.h>

#include <chrono>
#include <optional>
#include <thread>
#include <vector>

namespace relais::admin {
namespace {

using nlohmann::json;
using Row = std::vector<std::string>;

constexpr std::chrono::seconds kAsk{1};

std::uint64_t number(const json& row, std::string_view key) { return row.value(std::string(key), std::uint64_t{0}); }

std::string finding_line(const json& finding) {
  std::string where;
  if (finding.contains("mailbox")) where += " " + json_text(finding, "mailbox");
  if (finding.contains("uid")) where += " UID " + json_text(finding, "uid");
  return fmt::format("  {}{} {}: {}\n", json_text(finding, "weight"), where, json_text(finding, "code"), json_text(finding, "text"));
}

std::string account(const json& row) {
  const auto& last = row["last"];
  std::vector<Row> rows{{"address", json_text(row, "address")},
                        {"stage", json_text(row, "stage") + " since " + time_text(row.value("since", std::int64_t{0}))},
                        {"from", json_text(row, "platform")},
                        {"to", "shard " + json_text(row, "shard")}};
  if (!json_text(row, "wave").empty()) rows.push_back({"wave", json_text(row, "wave")});
  rows.push_back({"copied", fmt::format("{} messages, {}; there are {}", number(row, "copied_messages"),
                                        human_octets(number(row, "copied_octets")), number(row, "messages"))});
  rows.push_back(
      {"last pass", fmt::format("{} new ({}), {} flags, {} gone, {} ms", number(last, "appended"), human_octets(number(last, "octets")),
                                number(last, "flags"), number(last, "expunged"), number(last, "ms"))});
  rows.push_back({"verified", row.value("verified", false) ? "message by message" : "not yet"});
  std::string freezes;
  for (const auto& ms : row["freezes_ms"]) freezes += (freezes.empty() ? "" : ", ") + ms.dump() + " ms";
  if (!freezes.empty()) rows.push_back({"freezes", freezes});
  if (number(row, "failures") + number(row, "attempts") > 0)
    rows.push_back({"failed", fmt::format("{} passes, {} switches in a row; again at {}", number(row, "failures"), number(row, "attempts"),
                                          time_text(row.value("not_before", std::int64_t{0})))});
  if (!json_text(row, "error").empty()) rows.push_back({"because", json_text(row, "error")});
  auto out = text_table(rows);
  if (row.contains("findings")) {
    for (const auto& finding : row["findings"]) out += finding_line(finding);
  }
  return out;
}

std::string plan(const json& result) {
  if (result["waves"].empty()) return "no account is left to be planned\n";
  std::vector<Row> rows{{"WAVE", "ACCOUNTS", "WANTED"}};
  for (const auto& wave : result["waves"])
    rows.push_back({json_text(wave, "wave"), json_text(wave, "accounts"), json_text(wave, "wanted")});
  auto out = text_table(rows);
  if (number(result, "elsewhere") > 0) out += fmt::format("{} of the accounts named do not live there\n", number(result, "elsewhere"));
  if (number(result, "left_out") > 0)
    out += fmt::format("{} accounts are left out: their verdict is red, or they could not be read\n", number(result, "left_out"));
  if (number(result, "begun") > 0)
    out += fmt::format("{} accounts are not planned again: they are stuck, skipped, or being switched\n", number(result, "begun"));
  return out;
}

std::string wave_line(const json& wave) {
  auto out =
      json_text(wave, "wave").empty() ? std::string("copied, not started") : json_text(wave, "wave") + " " + json_text(wave, "state");
  if (!json_text(wave, "why").empty()) out += " " + json_text(wave, "why");
  if (!json_text(wave, "window").empty()) out += ", switches " + json_text(wave, "window");
  out += fmt::format(": {} accounts", number(wave, "accounts"));
  for (const auto& [stage, count] : wave["stages"].items()) out += fmt::format(", {} {}", count.dump(), stage);
  out += fmt::format("\n  {} messages copied, {}", number(wave, "copied_messages"), human_octets(number(wave, "copied_octets")));
  if (const auto& freeze = wave["freeze_ms"]; !freeze.is_null())
    out += fmt::format("; freeze p50 {} ms, p99 {} ms, longest {} ms", json_text(freeze, "p50"), json_text(freeze, "p99"),
                       json_text(freeze, "max"));
  out += "\n";
  for (const auto& trouble : wave["troubles"])
    out += fmt::format("  {} {}: {}\n", json_text(trouble, "address"), json_text(trouble, "stage"), json_text(trouble, "error"));
  const auto more = number(wave, "troubled") - wave["troubles"].size();
  if (more > 0) out += fmt::format("  and {} more\n", more);
  return out;
}

std::string status(const json& result) {
  if (!result.contains("waves")) return account(result);
  std::string out;
  for (const auto& row : result["platforms"]) {
    const auto accounts = number(row, "accounts");
    std::string passwords;
    for (const auto& [how, count] : row["passwords"].items()) {
      if (count != 0) passwords += fmt::format(", {} {}", count.dump(), how);
    }
    out += fmt::format("{}: {} accounts live there or came from there; passwords{}\n", json_text(row, "platform"), accounts,
                       passwords.empty() ? " none" : passwords.substr(1));
  }
  for (const auto& wave : result["waves"]) out += wave_line(wave);
  if (result["waves"].empty()) out += "no waves: relais migrate plan NAME makes some\n";
  for (const auto& event : result["events"])
    out += fmt::format("{} {} {}{}\n", time_text(event.value("time", std::int64_t{0})), json_text(event, "kind"),
                       json_text(event, "subject"), json_text(event, "text").empty() ? "" : ": " + json_text(event, "text"));
  if (result["running"].is_null()) return out;
  return out + fmt::format("{} accounts are worked on now\n", number(result, "running"));
}

/// How far it is, from a status. @return nullopt: not done yet
std::optional<int> done(const json& status, const std::string& what) {
  if (!status.contains("waves")) {
    const auto stage = status.value("stage", "");
    if (stage == "native" || stage == "settled") return kExitOk;
    if (stage == "stuck" || stage == "skipped") return kExitSomeStuck;
    if (status.value("wave_state", "") == "paused") return kExitPaused;
    return std::nullopt;
  }
  for (const auto& wave : status["waves"]) {
    if (wave.value("wave", "") != what) continue;
    const auto state = wave.value("state", "");
    if (state == "paused") return kExitPaused;
    if (state == "done") return wave["stages"].value("stuck", std::uint64_t{0}) > 0 ? kExitSomeStuck : kExitOk;
  }
  return std::nullopt;
}

}  // namespace

Result<int> await_move(const Command& command, const std::string& what) {
  auto ask = command;
  ask.operation = "migrate status";
  ask.request = json{{"what", what}};
  for (;; std::this_thread::sleep_for(kAsk)) {
    const auto status = carry_out(ask);
    if (!status && status.error().fault != Fault::temporary && status.error().fault != Fault::closed) return fail(status.error());
    if (!status) continue;
    if (const auto code = done(*status, what)) return *code;
  }
}

std::string moves_text(const std::string& operation, const json& result) {
  if (operation == "migrate copy") return account(result);
  if (operation == "migrate plan") return plan(result);
  if (operation == "migrate status") return status(result);
  if (operation == "migrate start")
    return fmt::format("{} started: {} accounts{}\n", json_text(result, "wave"), number(result, "accounts"),
                       number(result, "left_out") > 0
                           ? fmt::format(", {} left out that do not live there any more or are at rest", number(result, "left_out"))
                           : "");
  if (operation == "migrate pause" || operation == "migrate resume") {
    std::string out;
    for (const auto& wave : result["waves"]) out += wave.get<std::string>() + (operation == "migrate pause" ? " paused\n" : " goes on\n");
    return out.empty() ? "nothing to do\n" : out;
  }
  if (operation == "migrate retry") return fmt::format("{} accounts are tried again\n", number(result, "accounts"));
  if (operation == "migrate skip") return json_text(result, "address") + " stays where it is\n";
  return "";
}

}  // namespace relais::admin
