// What commands about mail under way print for people.
#pragma once

#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace relais::admin {

/// As to_text() of output.h, for route, queue, trace, dns, dkim and sending; nullopt for other operations.
std::optional<std::string> mail_text(std::string_view operation, const nlohmann::json& result);

/// 1767225600 → "2026-01-01 00:00:00Z"; 0 → "-".
std::string time_text(std::int64_t seconds);
/// 7265 → "2h 1m", 59 → "59s".
std::string age_text(std::int64_t seconds);

}  // namespace relais::admin
