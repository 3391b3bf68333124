// `relais serve`: the whole platform in one process.
#pragma once

#include "base/result.h"

#include <filesystem>

namespace relais::admin {

/// Serves until SIGTERM or SIGINT, then finishes what is in flight. Prints one line starting with `ready` on standard output when every
/// listener accepts. SIGHUP reads certificates and the settings that may change again.
/// Errors: as of load_settings and of opening the data; Fault::temporary where another process has the data open or a port is taken.
Result<void> serve_platform(const std::filesystem::path& dir);

}  // namespace relais::admin
