// Tables and sentences for people; scripts use --json.
#include "admin/output.h"

#include "admin/moves_command.h"
#include "admin/output_mail.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include <vector>

namespace relais::admin {
namespace {

using nlohmann::json;
using Row = std::vector<std::string>;

std::string text(const json& row, std::string_view key) { return json_text(row, key); }

std::uint64_t number(const json& row, std::string_view key) { return row.value(std::string(key), std::uint64_t{0}); }

std::string table(const std::vector<Row>& rows) { return text_table(rows); }

std::string where(const json& account) {
  const auto kind = text(account, "placement");
  return kind == "shard" ? "shard " + text(account, "shard") : kind + " " + text(account, "legacy");
}

std::string quota_text(std::uint64_t octets) { return octets == 0 ? "none" : human_octets(octets); }

std::string domains(const json& result) {
  std::vector<Row> rows{{"DOMAIN", "CATCH-ALL"}};
  for (const auto& row : result["domains"]) rows.push_back({text(row, "domain"), text(row, "catch_all")});
  return table(rows);
}

std::string accounts(const json& result) {
  std::vector<Row> rows{{"ADDRESS", "STATE", "PLACEMENT", "QUOTA"}};
  for (const auto& row : result["accounts"]) {
    rows.push_back({text(row, "address"), row.value("enabled", false) ? "enabled" : "disabled", where(row), quota_text(number(row, "quota_octets"))});
  }
  return table(rows);
}

std::string aliases(const json& result) {
  std::vector<Row> rows{{"ALIAS", "TARGETS"}};
  for (const auto& row : result["aliases"]) {
    std::string targets;
    for (const auto& target : row["targets"]) targets += (targets.empty() ? "" : " ") + target.get<std::string>();
    rows.push_back({text(row, "address"), targets});
  }
  return table(rows);
}

std::string account(const json& result) {
  std::string out = table({{"address", text(result, "address")},
                           {"number", text(result, "number")},
                           {"state", result.value("enabled", false) ? "enabled" : "disabled"},
                           {"password", text(result, "password")},
                           {"placement", where(result)},
                           {"epoch", text(result, "epoch")},
                           {"quota", quota_text(number(result, "quota_octets"))}});
  if (result.contains("came_from")) out += table({{"came from", text(result, "came_from")}});
  if (result.contains("legacy_user")) out += table({{"user there", text(result, "legacy_user")}});
  if (result.contains("names")) out += table({{"shows names as", text(result["names"], "example")}});
  if (!result.contains("mailboxes")) return out;
  out += table({{"used", fmt::format("{} in {} messages", human_octets(number(result, "used_octets")), number(result, "messages"))}});
  std::vector<Row> rows{{"MAILBOX", "MESSAGES", "UNSEEN", "SIZE", "UIDVALIDITY", "UIDNEXT"}};
  for (const auto& row : result["mailboxes"]) {
    rows.push_back({text(row, "name"), text(row, "messages"), text(row, "unseen"), human_octets(number(row, "octets")), text(row, "uid_validity"),
                    text(row, "uid_next")});
  }
  return out + "\n" + table(rows);
}

std::string import(const json& result) {
  std::string out = fmt::format("{} imported, {} refused\n", number(result, "imported"), result["failed"].size());
  for (const auto& row : result["failed"]) out += fmt::format("line {}: {}: {}\n", text(row, "line"), text(row, "address"), text(row, "error"));
  return out;
}

std::string service(const json& platform, std::string_view key) {
  const auto found = platform.find(key);
  if (found == platform.end() || found->is_null()) return "";
  return text(*found, "address") + " " + text(*found, "tls") + (text(*found, "tls") != "none" && !found->value("verify", false) ? " unverified" : "");
}

std::string platforms(const json& result) {
  if (result["platforms"].empty()) return "no legacy platforms: relais legacy add NAME makes one\n";
  std::vector<Row> rows{{"NAME", "IMAP", "POP3", "MAIL", "SUBMISSION", "MASTER", "PASSWORDS"}};
  for (const auto& row : result["platforms"]) {
    const bool lmtp = row.contains("lmtp");
    const auto mail = service(row, lmtp ? "lmtp" : "smtp");
    const auto& master = row["master"];
    rows.push_back({text(row, "name"), service(row, "imap"), service(row, "pop3"), mail.empty() ? "" : (lmtp ? "lmtp " : "smtp ") + mail,
                    service(row, "submission"), master.is_null() ? "" : text(master, "user") + " by " + (master.contains("format") ? text(master, "format") : text(master, "way")),
                    row.value("learn_passwords", false) ? "learned" : "not learned"});
  }
  return table(rows);
}

std::string platform_test(const json& result) {
  auto out = fmt::format("{} as {}", text(result, "name"), text(result, "account"));
  if (text(result, "user") != text(result, "account")) out += ", " + text(result, "user") + " there";
  out += "\n";
  const auto lines = [&](const json& row, std::string_view key, std::string_view sign) {
    for (const auto& line : row[std::string(key)]) out += fmt::format("  {} {}\n", sign, line.get<std::string>());
  };
  for (const auto& row : result["services"]) {
    out += fmt::format("{} {}, TLS {}\n", text(row, "service"), text(row, "address"), text(row, "tls").empty() ? "not reached" : text(row, "tls"));
    std::string capabilities;
    for (const auto& name : row["capabilities"]) capabilities += " " + name.get<std::string>();
    if (!capabilities.empty()) out += "   " + capabilities + "\n";
    lines(row, "facts", "+");
    lines(row, "notes", "-");
    lines(row, "problems", "!");
  }
  lines(result, "problems", "!");
  return out + (result.value("good", false) ? "ready for a migration\n" : "something is missing, see !\n");
}

std::string stats(const json& result) {
  std::vector<Row> rows{{"SHARD", "ACCOUNTS", "MESSAGES", "LIVE", "DEAD", "INDEX", "SEGMENTS", "FREE", "STATE"}};
  for (const auto& row : result["shards"]) {
    rows.push_back({text(row, "shard"), text(row, "accounts"), text(row, "blobs"), human_octets(number(row, "live_octets")),
                    human_octets(number(row, "dead_octets")), human_octets(number(row, "index_octets")), text(row, "segments"),
                    human_octets(number(row, "free_octets")), text(row, "state")});
  }
  return table(rows);
}

std::string check(const json& result) {
  std::string out = fmt::format("checked {} keys and {} messages ({})\n", number(result, "keys"), number(result, "blobs"), human_octets(number(result, "octets")));
  // Neither is damage: the mover has begun with them, or has taken them elsewhere.
  if (const auto count = number(result, "importing"); count != 0) out += fmt::format("{} accounts are being brought here\n", count);
  if (const auto count = number(result, "sealed"); count != 0) out += fmt::format("{} accounts were taken elsewhere and are kept sealed\n", count);
  for (const auto& problem : result["problems"]) out += "problem: " + problem.get<std::string>() + "\n";
  return out + (result["problems"].empty() ? "clean\n" : fmt::format("{} problems\n", result["problems"].size()));
}

}  // namespace

std::string json_text(const json& row, std::string_view key) {
  const auto found = row.find(key);
  if (found == row.end() || found->is_null()) return "";
  if (found->is_string()) return found->get<std::string>();
  return found->dump();
}

std::string text_table(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths(rows.empty() ? 0 : rows.front().size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      out += row[i];
      if (i + 1 < row.size()) out.append(widths[i] - row[i].size() + 2, ' ');
    }
    out += '\n';
  }
  return out;
}

std::string human_octets(std::uint64_t octets) {
  constexpr std::array units{"B", "KB", "MB", "GB", "TB", "PB"};
  auto value = static_cast<double>(octets);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < units.size()) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", octets) : fmt::format("{:.1f} {}", value, units[unit]);
}

std::string to_text(std::string_view operation, const json& result) {
  if (operation == "domain list") return domains(result);
  if (operation == "account list") return accounts(result);
  if (operation == "account show") return account(result);
  if (operation == "account add") return fmt::format("{} added, {}\n", text(result, "address"), where(result));
  if (operation == "account import") return import(result);
  if (operation == "account names") return fmt::format("{} shows names as {}\n", text(result, "address"), text(result["names"], "example"));
  if (operation == "account passwd") return "password changed\n";
  if (operation == "alias list") return aliases(result);
  if (operation == "legacy list") return platforms(result);
  if (operation == "legacy test") return platform_test(result);
  if (operation == "legacy add") return fmt::format("{} {}\n", text(result, "name"), result.value("replaced", false) ? "replaced" : "added");
  if (operation == "storage stats") return stats(result);
  if (operation == "storage check") return check(result);
  if (operation == "storage compact") return fmt::format("{} freed\n", human_octets(number(result, "freed_octets")));
  if (auto mail = mail_text(operation, result)) return std::move(*mail);
  if (auto moves = moves_text(std::string(operation), result); !moves.empty()) return moves;
  return "done\n";
}

}  // namespace relais::admin
