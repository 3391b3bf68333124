// One macro for invariants; it stays on in release builds.
#pragma once

namespace relais {
/// Logs what did not hold and aborts: going on with a broken invariant could lose mail.
[[noreturn]] void check_failed(const char* expression, const char* file, int line) noexcept;
}  // namespace relais

#define RELAIS_CHECK(condition) (static_cast<bool>(condition) ? void(0) : ::relais::check_failed(#condition, __FILE__, __LINE__))
