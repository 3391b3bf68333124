// The view of a relayed IMAP session: the same octets pass, and it comes to the same, what it tells for a handover included, however both
// directions are cut; holding at a boundary and going on loses nothing.
#include "imap/proto/relay_view.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>

#include "imap/proto/relay_testing.h"

using namespace relais::imap;
using relais::imap::testing::RelayWire;
namespace testing = relais::imap::testing;

namespace {

constexpr RelayViewLimits kLimits{.front = 24, .capabilities = 60, .command = 120, .outstanding = 6};

// Directions change at each octet 0xFF, holding at 0xFE.
std::string play(std::string_view input, std::size_t piece, bool holds) {
  RelayWire wire(RelayView({"IMAP4rev1", "IDLE"}, kLimits));
  bool client = true;
  while (!input.empty()) {
    const auto end = input.find_first_of("\xff\xfe");
    const auto part = input.substr(0, end);
    if (client)
      wire.client(part, piece);
    else
      wire.server(part, piece);
    if (end == std::string_view::npos) break;
    if (input[end] == '\xff') {
      client = !client;
    } else if (holds) {
      wire.hold(true);
      if (wire.both_held() && !wire.view().at_boundary()) std::abort();
      wire.hold(false);
    }
    input.remove_prefix(end + 1);
  }
  auto log = wire.at_server() + "|" + wire.at_client() + "|" + std::to_string(wire.view().outstanding());
  log += wire.view().at_boundary() ? "b" : "";
  return log.append(wire.view().idle_tag()).append("|").append(testing::described(wire.view()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::size_t piece = 1 + data[0] % 32U;
  const std::string_view input{reinterpret_cast<const char*>(data) + 1, size - 1};
  const auto whole = play(input, std::string_view::npos, false);
  for (const auto cut : {std::size_t{1}, piece}) {
    if (play(input, cut, false) != whole) std::abort();
  }
  if (play(input, piece, true) != whole) std::abort();
  return 0;
}
