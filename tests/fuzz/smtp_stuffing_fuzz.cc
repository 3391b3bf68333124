// Any content on its way through DATA: however it is cut, our own framer reads it back, with line ends mended and nothing else changed.
#include "smtp/proto/data.h"
#include "smtp/proto/dot_stuffing.h"

#include <array>
#include <cstdlib>
#include <string>

using namespace relais::smtp;

namespace {

void expect(bool condition) {
  if (!condition) std::abort();
}

std::string stuffed(std::string_view content, std::size_t piece) {
  DotStuffer stuffer;
  std::string out;
  std::array<std::string_view, DotStuffer::kPieces> pieces;
  for (std::size_t at = 0; at < content.size(); at += piece) {
    auto rest = content.substr(at, piece);
    while (!rest.empty()) {
      const auto step = stuffer.feed(rest, pieces);
      expect(step.used > 0 && step.used <= rest.size() && step.count <= pieces.size());
      for (std::size_t i = 0; i < step.count; ++i) out += pieces[i];
      rest.remove_prefix(step.used);
    }
  }
  out += stuffer.finish();
  return out;
}

std::string mended(std::string_view content) {
  std::string out;
  for (std::size_t i = 0; i < content.size(); ++i) {
    if (content[i] == '\r' && i + 1 < content.size() && content[i + 1] == '\n') ++i;
    if (content[i] == '\r' || content[i] == '\n')
      out += "\r\n";
    else
      out += content[i];
  }
  if (!out.empty() && !out.ends_with("\r\n")) out += "\r\n";
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view content{reinterpret_cast<const char*>(data) + 1, size - 1};
  const auto whole = stuffed(content, content.size() + 1);
  expect(whole == stuffed(content, data[0] + 1U) && whole == stuffed(content, 1));
  DataFramer framer;
  std::string got;
  const auto step = framer.feed(whole, [&](std::string_view piece) { got += piece; });
  expect(step.end && step.used == whole.size() && framer.good() && got == mended(content));
  return 0;
}
