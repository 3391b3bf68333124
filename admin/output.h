// What commands print for people.
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace relais::admin {

/// The result of an operation as text for a terminal; ends with a line end unless empty.
std::string to_text(std::string_view operation, const nlohmann::json& result);

/// A member as text: strings as they are, numbers and booleans as JSON writes them, empty where it is missing.
std::string json_text(const nlohmann::json& row, std::string_view key);
/// Columns as wide as their widest cell; the last one is not padded. All rows have as many cells as the first.
std::string text_table(const std::vector<std::vector<std::string>>& rows);

/// 1536 → "1.5 KB".
std::string human_octets(std::uint64_t octets);

}  // namespace relais::admin
