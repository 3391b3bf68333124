// relais migrate scan: asks for one piece of the platform's accounts after the other, and adds up.
#pragma once

#include "admin/command.h"

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace relais::admin {

/// @param command  a request with `name` and `connections`  @param addresses  whom to look at; empty: all that live there
/// @param progress  called before each piece with how many accounts are done, of how many
/// @return {platform, accounts: [row…], failed: [{address, error}…], totals: {…}}: rows by verdict, the worst first, then by address
/// Errors: those of carry_out(). Where nobody of the first piece can be read the others are not tried: `stopped` says so.
Result<nlohmann::json> scan_platform(const Command& command, std::vector<std::string> addresses,
                                     const std::function<void(std::size_t done, std::size_t of)>& progress);

/// The rows as CSV with a header line (RFC 4180); those of accounts that could not be read have `verdict` "failed".
std::string scan_csv(const nlohmann::json& result);

/// What the command prints for people.
std::string scan_text(const nlohmann::json& result);

}  // namespace relais::admin
