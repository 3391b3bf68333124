// A random generator per thread.
#include "smtp/outbound/dice.h"

#include "base/encode.h"
#include "base/random.h"

namespace relais::smtp {

std::mt19937_64& dice() {
  thread_local std::mt19937_64 generator([] {
    const auto octets = random_octets(8);
    return Decoder(octets).u64();
  }());
  return generator;
}

}  // namespace relais::smtp
