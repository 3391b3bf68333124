// Random order, for spreading load: not for secrets.
#pragma once

#include <random>

namespace relais::smtp {

/// A generator of the calling thread, seeded by the kernel.
std::mt19937_64& dice();

}  // namespace relais::smtp
