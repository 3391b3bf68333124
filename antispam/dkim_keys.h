// Keys for signing: making them, and the text that their owner publishes in the DNS.
#pragma once

#include "base/result.h"
#include "directory/dkim_key.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace relais::antispam {

using directory::DkimKey;

/// A new key pair. RSA has 2,048 bits (RFC 8301 §3.2): more does not fit well into DNS answers. Takes up to a second: for a worker.
/// @param domain    A- or U-labels   @param selector  one or more labels (RFC 6376 §3.1)   @param now  seconds since epoch
/// Errors: Fault::syntax for a domain or selector that is none.
Result<DkimKey> make_dkim_key(std::string_view domain, std::string_view selector, DkimKey::Algorithm algorithm, DkimKey::State state, std::int64_t now);

/// The selector that `relais dkim add` gives where none is asked for: "r20260131" or "e20260131", the day in UTC.
std::string default_selector(DkimKey::Algorithm algorithm, std::int64_t now);

/// What has to be published.
struct DkimRecord {
  std::string name;                  ///< "sel._domainkey.example.org"
  std::string value;                 ///< "v=DKIM1; k=rsa; h=sha256; p=…"
  std::vector<std::string> strings;  ///< `value` in pieces of at most 255 octets (RFC 6376 §3.6.2.2, RFC 1035 §3.3)
  std::string zone_line;             ///< `NAME. IN TXT ( "…" "…" )`, for a zone file
};
/// Errors: Fault::corrupt where the key can't be read.
Result<DkimRecord> dkim_record(const DkimKey& key);

}  // namespace relais::antispam
