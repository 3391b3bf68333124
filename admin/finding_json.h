// Findings of a move as JSON, and text of other servers as it may be shown.
#pragma once

#include "migrate/finding.h"

#include <nlohmann/json.hpp>

#include <string>

namespace relais::admin {

/// For a terminal and for JSON, which is UTF-8: names and words of old servers need not be. Control characters, and all octets above 0x7F
/// of what is no UTF-8, as %XX.
std::string shown(std::string text);

/// {code, weight, text} and, where there is one, mailbox, uid, there, here.
nlohmann::json describe(const migrate::Finding& finding);

}  // namespace relais::admin
