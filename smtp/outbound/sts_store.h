// MTA-STS policies on disk: a small text file per domain.
#pragma once

#include "base/result.h"
#include "smtp/outbound/sts_policy.h"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace relais::smtp {

/// DIRECTORY/DOMAIN holds "relais-sts 1", the id, when it was fetched, an empty line, and the policy's fields as its owner wrote them. A
/// file is replaced by rename, after it was synced: at any instant the old one or the new one is there, whole.
///
/// Threads: any, one domain at a time. All calls block. Errors: Fault::temporary, with the file in detail.
class StsStore {
 public:
  /// Makes the directory where it is missing.
  static Result<StsStore> open(std::filesystem::path directory);
  /// All policies. What was left by a crash is removed; a file that cannot be understood is logged and removed.
  Result<std::vector<std::pair<std::string, StsPolicy>>> load() const;
  /// Durable when it returns a value. @param domain A-labels in lower case
  Result<void> save(const std::string& domain, const StsPolicy& policy) const;
  Result<void> remove(const std::string& domain) const;

 private:
  explicit StsStore(std::filesystem::path directory) : directory_(std::move(directory)) {}
  std::filesystem::path directory_;
};

/// The file's text and back. Pure; parse: Fault::corrupt.
std::string format_sts_file(const StsPolicy& policy);
Result<StsPolicy> parse_sts_file(std::string_view text);

}  // namespace relais::smtp
