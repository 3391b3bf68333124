// Reports a broken invariant and ends the process.
#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace relais {

void check_failed(const char* expression, const char* file, int line) noexcept {
  std::fprintf(stderr, "level=fatal event=invariant_broken check=\"%s\" at=%s:%d\n", expression, file, line);
  std::abort();
}

}  // namespace relais
