// The ARC fields of a message, sorted into sets.
#pragma once

#include "antispam/dkim_canonical.h"
#include "antispam/dkim_tags.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace relais::antispam {

inline constexpr std::string_view kArcSeal = "ARC-Seal";
inline constexpr std::string_view kArcSignature = "ARC-Message-Signature";
inline constexpr std::string_view kArcResults = "ARC-Authentication-Results";

/// One instance. Lifetime: views of the header.
struct ArcSet {
  std::string_view results;  ///< whole fields
  std::string_view signature;
  std::string_view seal;
  TagList signature_tags;
  TagList seal_tags;
};

/// What was found.
struct ArcSets {
  std::vector<ArcSet> sets;  ///< sets[0] is instance 1; empty where `fault` says why
  unsigned highest = 0;      ///< highest instance number seen, whatever else is wrong
  bool any = false;          ///< there is at least one ARC field
  bool last_failed = false;  ///< the highest seal says cv=fail
  std::string fault;         ///< why the structure is broken; empty where it is sound
};

/// Steps 1 to 3 of RFC 8617 §5.2. Pure.
ArcSets read_arc_sets(const HeaderFields& fields);

/// The instance number of an ARC-Authentication-Results value: "i=1; …". nullopt where there is none from 1 to 50.
std::optional<unsigned> results_instance(std::string_view value);

}  // namespace relais::antispam
