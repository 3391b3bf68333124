// Snapshots of sending limits: damaged ones are refused, good ones written again are the same.
#include <cstdlib>
#include <string>
#include <string_view>

#include "antispam/sending_limits.h"
#include "base/crc32c.h"
#include "base/encode.h"

using namespace relais;
using namespace relais::antispam;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const ManualClock clock;
  // With a right checksum, so that what lies behind it is reached.
  std::string octets(reinterpret_cast<const char*>(data), size);
  put_u32(octets, crc32c(octets));
  SendingLimits limits({}, clock);
  if (const auto done = limits.restore(octets); !done) {
    if (done.error().fault != Fault::corrupt) std::abort();
    return 0;
  }
  const auto again = limits.snapshot();
  SendingLimits other({}, clock);
  if (!other.restore(again) || other.refused().size() != limits.refused().size()) std::abort();
  static_cast<void>(limits.message(1, "a@b"));
  return 0;
}
