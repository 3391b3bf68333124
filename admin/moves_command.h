// The command line's side of moves: waiting for them, and how they are shown.
#pragma once

#include "admin/command.h"

#include <nlohmann/json.hpp>

#include <functional>
#include <string>

namespace relais::admin {

// Exit codes of `relais migrate start --wait`, beside the usual ones.
inline constexpr int kExitPaused = 3;
inline constexpr int kExitSomeStuck = 4;

/// Asks for the status of a wave or an account until it is done, every second.
/// @return the exit code: 0, kExitPaused, kExitSomeStuck. Errors: those of carry_out(), but that a platform that restarts is waited for.
Result<int> await_move(const Command& command, const std::string& what);

/// As to_text() of output.h, for what `relais migrate` does to moves; empty for other operations.
std::string moves_text(const std::string& operation, const nlohmann::json& result);

}  // namespace relais::admin
