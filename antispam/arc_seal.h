// ARC: our own set on top of a message that we forward.
#pragma once

#include "antispam/arc_verify.h"
#include "antispam/dkim_sign.h"

#include <string>
#include <string_view>

namespace relais::antispam {

/// The set of the next instance: ARC-Seal, ARC-Message-Signature, ARC-Authentication-Results, each with its CRLF, to be put in front.
///
/// Put what else is added by us (Received, X-…) in front of it as well; nothing that it signs may change afterwards.
/// @param chain    arc_verify()'s of the same message as it arrived
/// @param results  the value of Authentication-Results: "mx.example.org; spf=pass smtp.mailfrom=…; dkim=…; arc=…" (authentication_results())
/// @return empty where the chain takes no more (chain.sealable is false).
/// Errors: as dkim_sign().   Threads: any; pure CPU (two signatures), for a WorkerPool.   Source: RFC 8617 §5.1.
Result<std::string> arc_seal(const DkimKey& key, const MessageView& message, const ArcChain& chain, std::string_view results,
                             const DkimSignOptions& options = {});

}  // namespace relais::antispam
