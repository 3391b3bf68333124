// The stored form of a message's structure: offsets relative to each other, as varints.
//
//   version 1                                  one octet
//   count of parts                             varint
//   per part, in pre-order:
//     bits 0-2 encoding, bit 3 is_multipart, bit 4 is_message, bits 5-7 levels
//     gap                                      varint: octets between the end of what comes before and header_begin
//     body_begin - header_begin                varint
//     body_end - body_begin                    varint
// levels: 0 for a child of the part before (gap counts from that one's body_begin), n for the sibling of its n-1-th ancestor (gap counts
// from the body_end of that sibling); 7 is followed by a varint with levels - 7.
#include <array>

#include "base/encode.h"
#include "message/mime.h"

namespace relais::message {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr unsigned kEncodingMask = 0x07;
constexpr unsigned kMultipart = 0x08;
constexpr unsigned kMessage = 0x10;
constexpr unsigned kLevelShift = 5;
constexpr unsigned kLevelMax = 7;
constexpr std::uint64_t kMaxOctets = std::uint64_t{1} << 48;  // far above any message; keeps sums from wrapping

std::unexpected<Error> corrupt(std::string_view detail) { return fail(Fault::corrupt, "stored message structure is damaged", {}, detail); }

// `last` is the part before the new one; gives the part the gap counts from, or kNoPart where there is none so high.
std::uint32_t predecessor(const std::vector<Part>& parts, std::uint32_t last, std::uint64_t levels) {
  for (std::uint64_t up = 1; up < levels && last != kNoPart; ++up) last = parts[last].parent;
  return last;
}

}  // namespace

std::string encode_parts(const Structure& structure) {
  std::string out;
  out.reserve(4 + structure.parts.size() * 9);
  put_u8(out, kVersion);
  put_varint(out, structure.parts.size());
  for (std::size_t i = 0; i < structure.parts.size(); ++i) {
    const auto& part = structure.parts[i];
    const auto before = i == 0 ? nullptr : &structure.parts[i - 1];
    const unsigned levels = before ? static_cast<unsigned>(before->depth + 1 - part.depth) : 0;
    std::uint64_t from = 0;
    if (before) {
      const auto* base = &structure.parts[predecessor(structure.parts, static_cast<std::uint32_t>(i - 1), levels)];
      from = levels == 0 ? base->body_begin : base->body_end;
    }
    put_u8(out, static_cast<std::uint8_t>(static_cast<unsigned>(part.encoding) | (part.is_multipart ? kMultipart : 0U) |
                                          (part.is_message ? kMessage : 0U) | (std::min(levels, kLevelMax) << kLevelShift)));
    if (levels >= kLevelMax) put_varint(out, levels - kLevelMax);
    put_varint(out, part.header_begin - from);
    put_varint(out, part.body_begin - part.header_begin);
    put_varint(out, part.body_end - part.body_begin);
  }
  return out;
}

Result<Structure> decode_parts(std::string_view encoded) {
  Decoder in(encoded);
  if (in.u8() != kVersion) return corrupt("version");
  const auto count = in.varint();
  if (!in.ok() || count == 0 || count > kMaxParts) return corrupt("count");
  Structure out;
  auto& parts = out.parts;
  parts.reserve(std::min<std::size_t>(count, in.rest().size()));
  for (std::uint32_t i = 0; i < count; ++i) {
    const unsigned flags = in.u8();
    std::uint64_t levels = flags >> kLevelShift;
    if (levels == kLevelMax) levels += in.varint();
    const auto gap = in.varint();
    const auto header = in.varint();
    const auto body = in.varint();
    if (!in.ok() || gap > kMaxOctets || header > kMaxOctets || body > kMaxOctets) return corrupt("octets");
    Part part;
    if ((flags & kEncodingMask) > static_cast<unsigned>(Encoding::unknown)) return corrupt("encoding");
    part.encoding = static_cast<Encoding>(flags & kEncodingMask);
    part.is_multipart = (flags & kMultipart) != 0;
    part.is_message = (flags & kMessage) != 0;
    std::uint64_t from = 0;
    if (i > 0) {
      const auto base = predecessor(parts, i - 1, levels);
      if (base == kNoPart) return corrupt("levels");
      part.parent = levels == 0 ? base : parts[base].parent;
      if (part.parent == kNoPart || !(parts[part.parent].is_multipart || parts[part.parent].is_message)) return corrupt("parent");
      from = levels == 0 ? parts[base].body_begin : parts[base].body_end;
      part.depth = static_cast<std::uint16_t>(parts[part.parent].depth + 1);
      if (part.depth > kMaxDepth) return corrupt("depth");
    }
    part.header_begin = from + gap;
    part.body_begin = part.header_begin + header;
    part.body_end = part.body_begin + body;
    if (part.parent != kNoPart && part.body_end > parts[part.parent].body_end) return corrupt("nesting");
    if (part.body_end > kMaxOctets) return corrupt("octets");
    parts.push_back(std::move(part));
  }
  if (!in.done()) return corrupt("octets after the last part");
  // Each part ends behind its last descendant.
  for (auto i = static_cast<std::uint32_t>(parts.size()); i-- > 0;) {
    parts[i].end = std::max(parts[i].end, i + 1);
    if (parts[i].parent != kNoPart) parts[parts[i].parent].end = std::max(parts[parts[i].parent].end, parts[i].end);
  }
  for (const auto& part : parts) {
    const auto index = static_cast<std::uint32_t>(&part - parts.data());
    if ((part.is_multipart || part.is_message) && part.end == index + 1) return corrupt("no children");
  }
  return out;
}

Result<std::string> shift_parts(std::string_view encoded, std::uint64_t octets) {
  Decoder in(encoded);
  const auto version = in.u8();
  in.varint();
  in.u8();
  const auto gap = in.varint();
  const auto kept = encoded.size() - in.rest().size();
  const auto header = in.varint();
  if (!in.ok() || version != kVersion || gap != 0 || header > kMaxOctets || octets > kMaxOctets) return corrupt("root");
  // Everything else is relative to the end of the root's header.
  std::string out(encoded.substr(0, kept));
  put_varint(out, header + octets);
  out.append(in.rest());
  return out;
}

}  // namespace relais::message
