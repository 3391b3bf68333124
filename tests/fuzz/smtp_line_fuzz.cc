// Command lines: the same events however the octets are cut, never more than the limit, always in step with the line ends.
#include "smtp/proto/line.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

using namespace relais::smtp;

namespace {

std::vector<std::string> events(std::string_view input, std::size_t piece, bool auth) {
  LineFramer framer;
  std::vector<std::string> out;
  std::string buffered;
  for (std::size_t at = 0; at < input.size(); at += piece) {
    buffered += input.substr(at, piece);
    for (;;) {
      const auto step = framer.feed(buffered, auth);
      if (step.used > buffered.size()) std::abort();
      if (step.event == LineFramer::Event::line) {
        if (step.line.size() + 2 > kMaxAuthLine || step.line.find_first_of(std::string_view{"\r\n\0", 3}) != std::string_view::npos) std::abort();
        out.emplace_back(step.line);
      } else if (step.event != LineFramer::Event::more) {
        out.push_back(std::string(1, '\n') + std::to_string(static_cast<int>(step.event)));
      }
      buffered.erase(0, step.used);
      if (step.event == LineFramer::Event::endless) return out;
      if (step.event == LineFramer::Event::more) break;
    }
    if (buffered.size() > kMaxAuthLine) std::abort();
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t piece = data[0] + 1U;
  const bool auth = (data[1] & 1U) != 0;
  const std::string_view input{reinterpret_cast<const char*>(data) + 2, size - 2};
  const auto whole = events(input, input.size() + 1, auth);
  if (whole != events(input, piece, auth) || whole != events(input, 1, auth)) std::abort();
  const bool endless = !whole.empty() && whole.back() == "\n" + std::to_string(static_cast<int>(LineFramer::Event::endless));
  if (!endless && whole.size() != static_cast<std::size_t>(std::ranges::count(input, '\n'))) std::abort();
  return 0;
}
