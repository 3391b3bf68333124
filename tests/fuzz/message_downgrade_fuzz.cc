// Any message: what comes out is what the server was said to take, the text of its parts is the same, and converting again changes nothing.
#include "base/ascii.h"
#include "message/downgrade.h"
#include "message/mime.h"

#include <cstdlib>

using namespace relais;

namespace {

void expect(bool condition) {
  if (!condition) std::abort();
}

void expect_lines(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    expect(text[i] != '\0');
    if (text[i] == '\r')
      expect(i + 1 < text.size() && text[++i] == '\n');
    else
      expect(text[i] != '\n');
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view message{reinterpret_cast<const char*>(data), size};
  const auto seven = message::to_seven_bit(message);
  if (seven) {
    expect(is_ascii(*seven));
    expect_lines(*seven);
    expect(!message::has_eight_bit_header(*seven));
    const auto again = message::to_seven_bit(*seven);
    expect(again && is_ascii(*again));
  } else {
    expect(seven.error().fault == Fault::refused && !seven.error().code.empty());
  }
  const auto eight = message::to_eight_bit(message);
  if (eight) {
    expect_lines(*eight);
  } else {
    expect(eight.error().fault == Fault::refused && !eight.error().code.empty());
  }
  static_cast<void>(message::has_eight_bit_header(message));
  return 0;
}
