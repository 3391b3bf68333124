// One administrative command as given on the command line, and how it is carried out.
#pragma once

#include "base/result.h"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>

namespace relais::admin {

struct Command {
  std::string operation;         ///< "account add", …: a name of operations.h
  nlohmann::json request = nlohmann::json::object();
  std::filesystem::path dir;     ///< of the platform
};

/// Carries the command out: over the local socket where a platform runs in `dir`, else directly on the data.
/// Errors: as of the operation; Fault::refused where `dir` holds no platform; Fault::temporary where it is busy starting or stopping.
Result<nlohmann::json> carry_out(const Command& command);

}  // namespace relais::admin
