// The Authentication-Results field: what was checked and found.
#pragma once

#include "antispam/arc_verify.h"
#include "antispam/dkim_verify.h"

#include <span>
#include <string>
#include <string_view>

namespace relais::antispam {

/// The field's value without folding: "mx.example.org; dkim=pass header.d=… header.s=… header.a=… header.b=…; arc=none". Texts of others are
/// quoted or cleaned.
/// @param server  our authserv-id   @param extra  further "method=result …" items, made elsewhere, each without semicolon; empty ones are skipped
/// Pure. Source: RFC 8601 §2.2, RFC 6008 §4 (header.b), RFC 8617 §10.2 (arc).
std::string authentication_results(std::string_view server, std::span<const DkimResult> dkim, const ArcChain& chain,
                                   std::span<const std::string> extra = {});

}  // namespace relais::antispam
