// Policies and records of MTA-STS and TLSRPT: what is accepted holds what the RFCs promise, and survives being kept.
#include "smtp/outbound/sts_policy.h"
#include "smtp/outbound/sts_store.h"
#include "smtp/outbound/tls_report_text.h"

#include <cstdlib>

using namespace relais::smtp;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string in{reinterpret_cast<const char*>(data), size};
  if (auto policy = parse_sts_policy(in)) {
    if (policy->max_age > kStsMaxAge || (policy->mx.empty() && policy->mode != StsPolicy::Mode::none)) std::abort();
    policy->id = "1";
    policy->fetched = 1;
    const auto kept = parse_sts_file(format_sts_file(*policy));
    if (!kept || kept->mx != policy->mx || kept->mode != policy->mode || kept->max_age != policy->max_age || kept->lines != policy->lines)
      std::abort();
    for (const auto& pattern : policy->mx)
      if (!sts_matches(*policy, pattern.starts_with("*.") ? "x" + pattern.substr(1) : pattern)) std::abort();
  }
  if (const auto id = parse_sts_txt({&in, 1}); id && (id->empty() || id->size() > 32)) std::abort();
  if (const auto to = parse_tlsrpt_txt({&in, 1}); to && to->mail_to.empty() && to->post_to.empty()) std::abort();
  static_cast<void>(parse_sts_file(in));
  static_cast<void>(parse_tls_counts(in));
  return 0;
}
