// BODY from BODYSTRUCTURE: the form without extension data need not be stored.
#pragma once

#include "base/result.h"

#include <string>
#include <string_view>

namespace relais::storage::model {

/// Appends the IMAP wire form of BODY to `out`, given that of BODYSTRUCTURE as message::summarize() makes it: the same without the extension
/// data of each part (RFC 9051 §7.5.2).
///
/// Linear time; depth bounded. Fault::corrupt where the text is no BODYSTRUCTURE.
/// Source: RFC 9051 §9 `body`, `body-type-1part`, `body-type-mpart`.
Result<void> append_body(std::string& out, std::string_view body_structure);

}  // namespace relais::storage::model
