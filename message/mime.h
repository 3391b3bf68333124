// The MIME structure of a message: where each part lies, what it is, and a compact form of that to store.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "message/encoding.h"

namespace relais::message {

constexpr std::uint16_t kMaxDepth = 100;     ///< levels; a multipart or message below it is opaque: a leaf of type application/octet-stream
constexpr std::uint32_t kMaxParts = 10'000;  ///< parts; when reached, the rest of the message belongs to the last part
constexpr std::uint32_t kNoPart = 0xffff'ffff;

/// Values of a part's MIME fields: views into the message, still folded; data() is null where the field is absent.
struct MimeFields {
  std::string_view content_type;
  std::string_view transfer_encoding;
  std::string_view id;
  std::string_view description;
  std::string_view disposition;
  std::string_view language;
  std::string_view location;
  std::string_view md5;
};

/// One part. Offsets count octets from the start of the message.
struct Part {
  std::uint32_t parent = kNoPart;  ///< index in Structure::parts
  std::uint32_t end = 0;           ///< index behind the last part below this one; its own index + 1 for a leaf
  std::uint16_t depth = 0;         ///< 0 for the message itself
  Encoding encoding = Encoding::seven_bit;
  bool is_multipart = false;
  bool is_message = false;         ///< message/rfc822 or message/global: the one part below it is the embedded message
  std::uint64_t header_begin = 0;  ///< of the MIME header; for the message itself and embedded ones, of the message's header
  std::uint64_t body_begin = 0;    ///< the header, with its blank line, ends here
  std::uint64_t body_end = 0;      ///< the line end before a boundary belongs to the boundary (RFC 2046 §5.1.1)
  std::uint64_t lines = 0;         ///< line ends in the body; not stored by encode_parts
  std::string type;                ///< lower case; the defaults of RFC 2045 §5.2 and RFC 2046 §5.1.5 applied; not stored
  std::string subtype;             ///< lower case; not stored
  MimeFields fields;               ///< not stored
};

/// Parts in pre-order; parts[0] is the whole message and always there. The children of parts[i] are i + 1, parts[i + 1].end, … while below
/// parts[i].end. A multipart without parts gets an empty text/plain one, as IMAP has no way to say "none" (RFC 9051 §9 body-type-mpart).
///
/// Lifetime: Part::fields refer to the message's octets.
struct Structure {
  std::vector<Part> parts;
};

/// Finds the parts of any octets: never fails, linear time and memory, depth and count bounded as above.
/// A line that only starts with a boundary is one too (RFC 2046 §5.1.1 asks for it); the innermost, longest one wins.
/// Source: RFC 2045, RFC 2046 §5.1, RFC 6532.
Structure parse_structure(std::string_view message);

/// The part with an IMAP part number (RFC 9051 §6.4.5.1): {1,2,3} for "1.2.3"; empty for the message itself. nullptr where there is none,
/// such as {1,1} where part 1 is neither a multipart nor a message.
const Part* find(const Structure& structure, std::span<const std::uint32_t> section) noexcept;

/// What of a part BODY[…] asks for.
enum class SectionText : std::uint8_t {
  all,     ///< BODY[n]: the part's body; BODY[]: the whole message
  header,  ///< BODY[HEADER], BODY[n.HEADER]: of the message or embedded message
  text,    ///< BODY[TEXT], BODY[n.TEXT]: its body
  mime,    ///< BODY[n.MIME]: the part's MIME header
};

/// Octets [begin, end) of the message.
struct OctetRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint64_t size() const noexcept { return end - begin; }
  friend bool operator==(const OctetRange&, const OctetRange&) = default;
};

/// Where a section lies; nullopt where the message has no such section: no such part, or n.HEADER and n.TEXT of a part that is no message,
/// or MIME without a number.
std::optional<OctetRange> find_section(const Structure& structure, std::span<const std::uint32_t> section, SectionText text) noexcept;

/// Offsets, nesting, encodings and kinds in 4 to 10 octets a part; part_codec.cc has the layout. Enough for find() and find_section().
std::string encode_parts(const Structure& structure);
/// @return Fault::corrupt where the octets are no result of encode_parts().
Result<Structure> decode_parts(std::string_view encoded);
/// The encoded form of the same message with `octets` more in front of its header (trace fields). Fault::corrupt as above.
Result<std::string> shift_parts(std::string_view encoded, std::uint64_t octets);

constexpr std::size_t kMaxParameters = 1000;  ///< of one field; what follows is ignored

/// A Content-Type or Content-Disposition value taken apart.
struct Parameter {
  std::string name;   ///< lower case; with a final "*" where the value is `charset'language'%xx` text (RFC 2231 §4)
  std::string value;  ///< quotes removed; continuations (name*0, name*1; RFC 2231 §3) joined
};
struct ParameterizedValue {
  std::string value;  ///< "text/plain", "attachment": lower case, comments and space removed; empty where it is malformed
  std::vector<Parameter> parameters;
};
/// Tolerant: missing semicolons, unquoted specials, 8-bit octets, unterminated quotes and comments. Linear time.
ParameterizedValue parse_parameterized(std::string_view field_value);

/// The decoded value of a parameter as UTF-8: RFC 2231 if it was given that way, else with RFC 2047 words decoded, which the standards
/// forbid there but mailers write. nullopt where absent. `name` in lower case, without "*".
std::optional<std::string> decoded_parameter(const ParameterizedValue& value, std::string_view name);

}  // namespace relais::message
