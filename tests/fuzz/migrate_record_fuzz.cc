// Records of the journal of moves: what decodes encodes to the same.
#include <cstdlib>
#include <string_view>

#include "migrate/journal_records.h"

using namespace relais;
using namespace relais::migrate;

namespace {

template <class T>
void round_trip(std::string_view octets, Result<T> (*decode)(std::string_view)) {
  const auto record = decode(octets);
  if (!record) {
    if (record.error().fault != Fault::corrupt) std::abort();
    return;
  }
  const auto again = decode(encode(*record));
  if (!again || encode(*again) != encode(*record)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view octets(reinterpret_cast<const char*>(data), size);
  round_trip(octets, decode_stage);
  round_trip(octets, decode_mailbox_step);
  round_trip(octets, decode_finding);
  round_trip(octets, decode_use);
  round_trip(octets, decode_wave);
  round_trip(octets, decode_event);
  return 0;
}
