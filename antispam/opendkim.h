// libopendkim, wrapped for C++: its header is C99, its text is unsigned char*, its handles want freeing.
#pragma once

#define _Bool bool
extern "C" {
#include <opendkim/dkim.h>
}
#undef _Bool

#include <memory>
#include <span>
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

/// Gives it the body. One that does not end with CRLF gets one, as both canonical forms want (RFC 6376 §3.4.3, §3.4.4): the library itself
/// has nothing to do with such a body, or else mends all of its line ends.
inline DKIM_STAT feed_body(DKIM* handle, std::span<const std::string_view> body) noexcept {
  char last[2] = {'\r', '\n'};  // an empty body stays empty
  for (const auto piece : body) {
    if (piece.empty()) continue;
    const auto status = ::dkim_body(handle, dkim_text(piece), piece.size());
    if (status != DKIM_STAT_OK) return status;
    last[0] = piece.size() > 1 ? piece[piece.size() - 2] : last[1];
    last[1] = piece.back();
  }
  if (last[0] == '\r' && last[1] == '\n') return DKIM_STAT_OK;
  return ::dkim_body(handle, dkim_text("\r\n"), 2);
}

/// Octets of one field that the library can take: its buffers end at 64 KiB.
constexpr std::size_t kMaxDkimField = 60'000;
/// Octets of a list of names (h=) that it takes whole: it cuts at 4,096 without a word.
constexpr std::size_t kMaxDkimNames = 4'000;
/// Octets of a field's name that it can take.
constexpr std::size_t kMaxDkimName = 100;

}  // namespace relais::antispam
