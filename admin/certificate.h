// Makes a self-signed certificate, so that a new platform speaks TLS from its first minute.
#pragma once

#include "base/result.h"

#include <filesystem>
#include <string>
#include <vector>

namespace relais::admin {

/// Writes a P-256 key (mode 0600) and a certificate for `names` (the first is the subject), valid for ten years.
/// Errors: Fault::temporary where a file cannot be written.
Result<void> make_self_signed_certificate(const std::filesystem::path& certificate, const std::filesystem::path& key, const std::vector<std::string>& names);

}  // namespace relais::admin
