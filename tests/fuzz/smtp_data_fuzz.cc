// DATA content: the same answer however cut; only CRLF.CRLF ends it; stuffing comes off as it went on.
#include "smtp/proto/data.h"

#include <cstdlib>
#include <string>

using namespace relais::smtp;

namespace {

void expect(bool condition) {
  if (!condition) std::abort();
}

struct Framed {
  std::string content;
  std::size_t used = 0;
  bool end = false;
  bool good = true;
  friend bool operator==(const Framed&, const Framed&) = default;
};

Framed frame(std::string_view input, std::size_t piece) {
  DataFramer framer;
  Framed out;
  while (out.used < input.size() && !out.end) {
    const auto step = framer.feed(input.substr(out.used, piece), [&](std::string_view octets) { out.content += octets; });
    out.used += step.used;
    out.end = step.end;
  }
  out.good = framer.good();
  return out;
}

bool lawful(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r')) return false;
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] != '\n') return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::size_t piece = data[0] + 1U;
  const std::string_view input{reinterpret_cast<const char*>(data) + 1, size - 1};
  const auto whole = frame(input, input.size() + 1);
  expect(whole == frame(input, piece));
  expect(whole == frame(input, 1));

  const auto marker = input.find("\r\n.\r\n");
  const auto expected_end = input.starts_with(".\r\n") ? 3 : marker == std::string_view::npos ? 0 : marker + 5;
  expect(whole.end == (expected_end != 0));
  if (whole.end) expect(whole.used == expected_end);
  expect(whole.good == lawful(input.substr(0, whole.used)));

  LineEnds ends;
  for (std::size_t at = 0; at < input.size(); at += piece) ends.feed(input.substr(at, piece));
  expect(ends.good() == lawful(input));

  if (lawful(input) && !input.ends_with('\r')) {
    std::string stuffed;
    bool line_start = true;
    for (std::size_t i = 0; i < input.size(); ++i) {
      if (line_start && input[i] == '.') stuffed += '.';
      stuffed += input[i];
      line_start = input[i] == '\n';
    }
    const auto suffix = input.empty() || input.ends_with('\n') ? std::string_view{} : std::string_view{"\r\n"};
    stuffed.append(suffix).append(".\r\nQUIT");
    const auto back = frame(stuffed, piece);
    expect(back.end && back.good && back.content == std::string(input).append(suffix) && back.used + 4 == stuffed.size());
  }
  return 0;
}
