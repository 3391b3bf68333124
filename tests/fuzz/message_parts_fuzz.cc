// Any octets as a stored structure: refused, or of a shape that can be searched and written back.
#include <cstdlib>
#include <string>
#include <string_view>

#include "message/mime.h"

using namespace relais;
using namespace relais::message;

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view encoded(reinterpret_cast<const char*>(data), size);
  const auto structure = decode_parts(encoded);
  if (!structure) {
    check(structure.error().fault == Fault::corrupt);
    if (const auto shifted = shift_parts(encoded, 10); !shifted) check(shifted.error().fault == Fault::corrupt);
    return 0;
  }
  const auto again = decode_parts(encode_parts(*structure));
  check(again.has_value() && again->parts.size() == structure->parts.size());
  for (std::uint32_t a = 0; a < 3; ++a) {
    for (std::uint32_t b = 0; b < 3; ++b) {
      const std::uint32_t section[] = {a, b, 1};
      for (std::size_t length = 0; length <= 3; ++length) {
        for (const auto text : {SectionText::all, SectionText::header, SectionText::text, SectionText::mime}) {
          if (const auto range = find_section(*structure, {section, length}, text)) check(range->begin <= range->end);
        }
      }
    }
  }
  return 0;
}
