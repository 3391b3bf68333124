// What a server may send us: framing that does not depend on the cut, no response that hurts, references only to literals that exist.
#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>

#include "imap/proto/response.h"
#include "imap/proto/response_framer.h"

using namespace relais;
using namespace relais::imap;

namespace {

constexpr ResponseLimits kLimits{.inlined = 20, .text = 2000};

void check(bool holds) {
  if (!holds) std::abort();
}

void check_response(std::string_view text, std::size_t literals) {
  const std::string copy(text);  // of its own, so that a read past it is seen
  const auto found = parse_response(copy, literals);
  if (!found) {
    check(found.error().fault == Fault::syntax && !found.error().text.empty());
    return;
  }
  if (found->kind == Response::Kind::fetch) {
    for (const auto& section : found->as<FetchResult>().sections) {
      if (section.octets && section.octets->literal) check(*section.octets->literal < literals);
      if (section.octets && !section.octets->literal) check(section.octets->size == section.octets->inlined.size());
    }
  }
  if (const auto* status = std::get_if<StatusText>(&found->data); status != nullptr && status->code) {
    const auto pairs = parse_copyuid(status->code->arguments);
    if (pairs) check(pairs->from.size() == pairs->to.size());
  }
}

std::string play(std::string_view input, std::size_t piece) {
  ResponseFramer framer(kLimits);
  std::string log;
  std::uint64_t left = 0;
  for (std::size_t at = 0; at < input.size(); at += piece) {
    std::string_view rest = input.substr(at, piece);
    for (;;) {
      if (left > 0) {
        const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(left, rest.size()));
        log += rest.substr(0, take);
        rest.remove_prefix(take);
        left -= take;
        if (left > 0) break;
        framer.literal_taken();
      }
      const auto [used, event] = framer.feed(rest);
      check(used <= rest.size());
      rest.remove_prefix(used);
      check(framer.text().size() <= kLimits.text + 30);
      if (event == ResponseFramer::Event::more) {
        check(rest.empty());
        break;
      }
      if (event == ResponseFramer::Event::broken) return log + "broken";
      if (event == ResponseFramer::Event::literal) {
        left = framer.literal_size();
        check(left > kLimits.inlined);
        continue;
      }
      log.append(framer.text()).append("|");
      check_response(framer.text(), framer.literals());
      framer.next();
    }
  }
  return log;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view input{reinterpret_cast<const char*>(data) + 1, size - 1};
  const auto whole = play(input, input.size() + 1);
  check(play(input, 1) == whole);
  check(play(input, 1 + data[0] % 32U) == whole);
  check_response(input, 1);
  return 0;
}
