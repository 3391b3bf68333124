// libopendkim, wrapped for C++: its header is C99, its text is unsigned char*, its handles want freeing.
#pragma once

#define _Bool bool
extern "C" {
#include <opendkim/dkim.h>
}
#undef _Bool

#include <memory>
#include <string>
#include <string_view>

namespace relais::antispam {

struct FreeDkim {
  void operator()(DKIM* handle) const noexcept { ::dkim_free(handle); }
  void operator()(DKIM_LIB* library) const noexcept { ::dkim_close(library); }
};
using DkimHandle = std::unique_ptr<DKIM, FreeDkim>;
using DkimLibrary = std::unique_ptr<DKIM_LIB, FreeDkim>;

/// The library takes pointers to non-const and doesn't write through them.
inline unsigned char* dkim_text(std::string_view text) noexcept { return reinterpret_cast<unsigned char*>(const_cast<char*>(text.data())); }
inline std::string_view dkim_view(const unsigned char* text) noexcept {
  return text == nullptr ? std::string_view{} : std::string_view(reinterpret_cast<const char*>(text));
}

/// Octets of one field that the library can take: its buffers end at 64 KiB.
constexpr std::size_t kMaxDkimField = 60'000;
/// Octets of a list of names (h=) that it takes whole: it cuts at 4,096 without a word.
constexpr std::size_t kMaxDkimNames = 4'000;
/// Octets of a field's name that it can take.
constexpr std::size_t kMaxDkimName = 100;

}  // namespace relais::antispam
