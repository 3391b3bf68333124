// The texts of MTA-STS: TXT records and policy files. Pure.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace relais::smtp {

struct StsPolicy {
  enum class Mode : std::uint8_t { none, testing, enforce };
  Mode mode = Mode::none;
  std::vector<std::string> mx{};     ///< patterns in lower case: "mail.example.net", "*.example.net"
  std::uint32_t max_age = 0;         ///< seconds
  std::vector<std::string> lines{};  ///< the fields that we know, "mode: enforce": for reports (RFC 8460 §4.4)
  std::string id{};                  ///< of the TXT record it was fetched for; not part of the text
  std::int64_t fetched = 0;          ///< seconds since the epoch
  std::int64_t expires() const noexcept { return fetched + max_age; }
};

constexpr std::uint32_t kStsMaxAge = 31'557'600;  ///< seconds; RFC 8461 §3.2

/// The `id` of the one valid record among the TXT records of _mta-sts.DOMAIN (RFC 8461 §3.1).
/// @return Fault::syntax where there is none, more than one, or it is malformed: "the domain has no policy available".
Result<std::string> parse_sts_txt(std::span<const std::string> records);
/// A policy file (RFC 8461 §3.2). Unknown fields are skipped, later repeats of all but "mx" too; an empty line is no error. Fault::syntax
/// naming what is wrong.
Result<StsPolicy> parse_sts_policy(std::string_view text);
/// RFC 8461 §4.1: a wildcard stands for exactly one, the left-most, label. Names in lower case without a final dot.
bool sts_matches(const StsPolicy& policy, std::string_view host) noexcept;
std::string_view to_string(StsPolicy::Mode mode) noexcept;

}  // namespace relais::smtp
