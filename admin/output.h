// What commands print for people.
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace relais::admin {

/// The result of an operation as text for a terminal; ends with a line end unless empty.
std::string to_text(std::string_view operation, const nlohmann::json& result);

/// 1536 → "1.5 KB".
std::string human_octets(std::uint64_t octets);

}  // namespace relais::admin
