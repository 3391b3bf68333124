// Small files that are replaced whole, durably.
#pragma once

#include "base/result.h"

#include <filesystem>
#include <string>
#include <string_view>

namespace relais::smtp {

/// Names of files that replace_file() has not finished begin so: what a crash leaves, to be removed at the next start.
constexpr std::string_view kUnfinished = ".new-";

/// Writes `octets` to a new file beside `path`, syncs it, renames it over `path` and syncs the directory: after a crash the old content or
/// the new is there. Blocks. Errors: Fault::temporary with the path and the reason in detail.
Result<void> replace_file(const std::filesystem::path& path, std::string_view octets);
/// Fault::temporary where it cannot be read, or is larger than `limit` octets. Blocks.
Result<std::string> read_file(const std::filesystem::path& path, std::size_t limit);
/// Removes it and syncs the directory; it need not be there. Blocks.
Result<void> remove_file(const std::filesystem::path& path);
/// Makes the directory where it is missing, and removes what replace_file() left unfinished in it. Blocks.
Result<void> prepare_directory(const std::filesystem::path& directory);

}  // namespace relais::smtp
