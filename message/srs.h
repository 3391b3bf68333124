// SRS: reverse-paths of forwarded mail under our own domain, so that the next hop's SPF check passes and bounces find their way back.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace relais::message {

struct SrsOptions {
  std::string domain;                ///< ours: where bounces come back to; lower-case A-labels
  std::vector<std::string> secrets;  ///< octets; the first signs, all are good for coming back (directory::Directory::srs_secrets)
  std::int64_t valid_days = 21;      ///< how long a bounce may take: well beyond the five days that servers keep trying; 1 to 1,000
  std::size_t max_local_part = 255;  ///< octets. RFC 5321 §4.5.3.1.1 says 64, which a VERP sender exceeds by itself; nearly all take more
};

/// Sender Rewriting Scheme.
///
///   SRS0=HHHHHHHH=TT=example.net=bob@us          bob@example.net sent it
///   SRS1=HHHHHHHH=first.example==HH=TT=…@us      first.example had rewritten it already (SRS0…@first.example)
///
/// H is HMAC-SHA256 over what follows, in lower case, cut to 40 bits in base32 (so that a server that changes the case of local parts
/// breaks nothing); TT the day modulo 1024. Nobody else can make an address that comes back, so we are no open relay.
///
/// Threads: const use is safe from any number of threads. Pure but for OpenSSL's HMAC.
/// Source: the SRS paper (Shevek, 2004, "guarded" scheme); there is no RFC.
class Srs {
 public:
  explicit Srs(SrsOptions options);

  /// The reverse-path to forward with. The null one stays null; one that is ours (its domain is options.domain and it is SRS) stays as it
  /// is.
  /// @param sender  without angle brackets   @param now  seconds since epoch
  /// Errors: Fault::syntax where the sender is no address, Fault::refused "5.1.7" where the result would exceed max_local_part.
  Result<std::string> forward(std::string_view sender, std::int64_t now) const;

  /// Whether an address is one of ours to reverse: our domain and an SRS local part, whatever its hash. Ask this before the directory.
  bool is_ours(std::string_view address) const;

  /// Where a bounce to an SRS address goes: the sender for SRS0, the first forwarder's SRS0 address for SRS1.
  /// Case of the local part is what came back, which may not be what was sent.
  /// Errors, each to be told to the client as a permanent failure: Fault::refused "5.1.1" not SRS, malformed or forged; "5.1.6" expired.
  Result<std::string> reverse(std::string_view address, std::int64_t now) const;

 private:
  bool hash_fits(std::string_view hash, std::string_view text) const;
  bool day_fits(std::string_view day, std::int64_t now) const noexcept;

  SrsOptions options_;
};

}  // namespace relais::message
