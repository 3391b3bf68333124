// Decodes large parts piece by piece.
#include "imap/server/encoded_part.h"

#include "base/ascii.h"
#include "message/decode.h"

namespace relais::imap {
namespace {

bool in_base64_alphabet(char c) noexcept { return ascii_alpha(c) || ascii_digit(c) || c == '+' || c == '/'; }

}  // namespace

std::size_t decodable_prefix(message::Encoding encoding, std::string_view octets) noexcept {
  switch (encoding) {
    case message::Encoding::base64: {
      // From the back: what belongs to an incomplete quantum stays. Where padding or a stray octet stands, the decoder judges it.
      const auto sextets = static_cast<std::size_t>(std::ranges::count_if(octets, in_base64_alphabet));
      auto cut = octets.size();
      for (auto left = sextets % 4; left > 0 && cut > 0; --cut) {
        if (in_base64_alphabet(octets[cut - 1])) --left;
      }
      return cut;
    }
    case message::Encoding::quoted_printable: {
      const auto end = octets.rfind('\n');
      return end == std::string_view::npos ? 0 : end + 1;
    }
    default: return octets.size();
  }
}

net::Task<bool> EncodedPart::next(std::string& decoded) {
  decoded.clear();
  while (decoded.empty() && (range_.size() > 0 || !pending_.empty())) {
    if (range_.size() > 0) {
      const auto length = std::min(kPiece, range_.size());
      const auto before = pending_.size();
      RELAIS_CO_TRY_VOID(
          co_await session_.store().read_content(session_.account(), session_.selected()->id, uid_, range_.begin, length, pending_));
      if (pending_.size() != before + length) co_return fail(Fault::corrupt, "the message is shorter than recorded");
      range_.begin += length;
    }
    const auto cut = range_.size() > 0 ? decodable_prefix(encoding_, pending_) : pending_.size();
    if (cut == 0) continue;
    const auto piece = std::string_view(pending_).substr(0, cut);
    if (padded_ && std::ranges::any_of(piece, in_base64_alphabet))
      co_return fail(Fault::refused, "data behind the end of base64", "UNKNOWN-CTE");
    padded_ = padded_ || (encoding_ == message::Encoding::base64 && piece.contains('='));
    RELAIS_CO_TRY(decoded, message::decode_transfer_strict(encoding_, piece));
    pending_.erase(0, cut);
  }
  co_return !decoded.empty();
}

}  // namespace relais::imap
