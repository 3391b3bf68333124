// The IMAP framer: the same events however the octets are cut, every octet accounted for, memory within the limits.
#include "imap/proto/framer.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>

using namespace relais;
using namespace relais::imap;

namespace {

constexpr FramerLimits kLimits{.line = 100, .literals = 60, .literal_count = 4, .skip = 200};

struct Play {
  std::string log;
  std::size_t used = 0;  ///< octets of the input that framer and caller took
  bool broken = false;
};

/// `choices`: one bit for each message, whether it is refused.
Play play(std::string_view input, std::size_t piece, unsigned choices) {
  Framer framer(kLimits);
  Play out;
  std::size_t message_left = 0;
  for (std::size_t at = 0; at < input.size(); at += piece) {
    const std::string octets(input.substr(at, piece));  // of its own, so that a read past it is seen
    std::string_view rest(octets);
    for (;;) {
      if (message_left > 0) {
        const auto take = std::min(message_left, rest.size());
        out.log.append(rest.substr(0, take));
        rest.remove_prefix(take);
        out.used += take;
        message_left -= take;
        if (message_left > 0) break;
        framer.message_taken();
      }
      const auto [used, event] = framer.feed(rest);
      if (used > rest.size()) std::abort();
      rest.remove_prefix(used);
      out.used += used;
      if (framer.text().size() > kLimits.line + kLimits.literals) std::abort();
      if (event == Framer::Event::more) {
        if (!rest.empty()) std::abort();
        break;
      }
      out.log += static_cast<char>('A' + static_cast<int>(event));
      out.log.append(framer.tag()).append("|").append(framer.error().text).append("|");
      switch (event) {
        case Framer::Event::more:
        case Framer::Event::go_ahead: break;
        case Framer::Event::message: {
          out.log.append(framer.text());
          const bool refuse = (choices & 1U) != 0 || framer.literal().size > 1000;
          choices >>= 1;
          if (refuse) {
            framer.refuse({Fault::refused, {}, "no", {}});
          } else if (framer.literal().size == 0) {
            framer.message_taken();
          } else {
            message_left = static_cast<std::size_t>(framer.literal().size);
          }
          break;
        }
        case Framer::Event::command:
          out.log.append(framer.text());
          framer.next();
          if (!framer.idle()) std::abort();
          break;
        case Framer::Event::refused:
          if (framer.error().text.empty()) std::abort();
          framer.next();
          break;
        case Framer::Event::broken: out.broken = true; return out;
      }
    }
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t piece = 1 + data[0] % 64U;
  const unsigned choices = data[1];
  const std::string_view input{reinterpret_cast<const char*>(data) + 2, size - 2};
  const auto whole = play(input, input.size() + 1, choices);
  if (!whole.broken && whole.used != input.size()) std::abort();
  for (const auto size_of_piece : {std::size_t{1}, piece}) {
    const auto cut = play(input, size_of_piece, choices);
    if (cut.log != whole.log || cut.used != whole.used || cut.broken != whole.broken) std::abort();
  }
  return 0;
}
