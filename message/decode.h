// Text out of mail: transfer encodings, charsets, encoded words, and the folding that makes search case-insensitive.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "message/encoding.h"

namespace relais::message {

/// RFC 2047 encoded words to UTF-8. White space between adjacent words goes away, words cut in the middle of a character are joined, words
/// that are malformed or of an unknown charset stay as they are. Raw 8-bit octets that are not UTF-8 are read as Windows-1252. Linear time.
/// @param value  A field's value, folded or not; the result is unfolded.
std::string decode_words(std::string_view value);

/// Converts to UTF-8, with U+FFFD for octets that mean nothing; never fails on octets.
/// @param charset  An IANA name or a usual alias, any case. Empty is US-ASCII; US-ASCII text with 8-bit octets is taken as UTF-8 if it is
///                 that, else as Windows-1252; ISO-8859-1 means Windows-1252 (as in the WHATWG encoding standard).
/// @return nullopt for a charset that ICU does not know.
/// Threads: any; each thread keeps a few open converters.
std::optional<std::string> to_utf8(std::string_view octets, std::string_view charset);

/// True where to_utf8() knows the charset: IMAP SEARCH CHARSET's [BADCHARSET].
bool is_known_charset(std::string_view charset);

/// Decodes tolerantly: stray octets in base64 are skipped, broken quoted-printable sequences are kept as they are. 7bit, 8bit, binary and
/// unknown come back unchanged.
std::string decode_transfer(Encoding encoding, std::string_view octets);

/// The strict form, for BINARY[…] (RFC 9051 §6.4.5.1): Fault::refused with code UNKNOWN-CTE where the encoding is unknown or the octets
/// break it.
Result<std::string> decode_transfer_strict(Encoding encoding, std::string_view octets);

/// Size of decode_transfer_strict()'s result, without making it: BINARY.SIZE[…]. The same errors.
Result<std::uint64_t> decoded_size(Encoding encoding, std::string_view octets);

/// RFC 2231 §4: `charset'language'%xx…` to UTF-8; nullopt where it has not that form or the charset is unknown.
std::optional<std::string> decode_extended_value(std::string_view value);

/// The form in which text is compared by SEARCH: compatibility decomposition, then full case folding, as in i;unicode-casemap
/// (RFC 5051), so that "CAFÉ" and "café" are equal in whatever form they are written. ASCII text takes a fast path. Octets that are
/// not UTF-8 stay as they are.
std::string fold_case_for_search(std::string_view utf8);

/// Case-insensitive substring search for one key over any number of texts.
///
/// Threads: const use from any number of threads.
class Searcher {
 public:
  /// @param key  UTF-8. An empty key is found everywhere.
  explicit Searcher(std::string_view key);
  /// @param utf8  Any text. Folded piece by piece where it is ASCII, as a copy otherwise. Linear time, whatever key and text.
  bool found_in(std::string_view utf8) const;
  /// @param folded  A text that went through fold_case_for_search().
  bool found_in_folded(std::string_view folded) const noexcept;
  std::string_view folded_key() const noexcept { return key_; }

 private:
  bool found_in_ascii(std::string_view text) const;

  std::string key_;  ///< folded
  bool ascii_;       ///< an ASCII text can hold the key
};

}  // namespace relais::message
