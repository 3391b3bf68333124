// A transfer-encoded part that is too large to be held whole, in pieces that can be decoded one by one.
#pragma once

#include "imap/server/session.h"
#include "message/encoding.h"
#include "message/mime.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace relais::imap {

/// How many octets from the front can be decoded without those behind: whole quanta of base64, whole lines of quoted-printable, everything
/// where nothing is encoded. May be 0. Pure.
std::size_t decodable_prefix(message::Encoding encoding, std::string_view octets) noexcept;

/// Reads a part from storage and decodes it piece by piece, as message::decode_transfer_strict() does the whole.
/// Memory: two pieces of kPiece octets, more only for a line of quoted-printable that is longer.
class EncodedPart {
 public:
  static constexpr std::uint64_t kPiece = 256 * 1024;

  EncodedPart(Session& session, storage::Uid uid, message::OctetRange range, message::Encoding encoding)
      : session_(session), uid_(uid), range_(range), encoding_(encoding) {}

  /// Replaces `decoded` by the next piece. @return false at the end
  /// Errors: those of reading; Fault::refused UNKNOWN-CTE where the octets break the encoding.
  net::Task<bool> next(std::string& decoded);

 private:
  Session& session_;
  const storage::Uid uid_;
  message::OctetRange range_;  ///< still to be read
  const message::Encoding encoding_;
  std::string pending_;  ///< read, not yet decoded
  bool padded_ = false;  ///< base64: its end was seen
};

}  // namespace relais::imap
