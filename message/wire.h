// Strings in IMAP's wire form, for the parts of responses that are made at delivery and stored.
#pragma once

#include <string>
#include <string_view>

namespace relais::message {

/// Appends an RFC 9051 §9 `string`: quoted where every octet may be (US-ASCII without CR, LF), else a literal "{n}CRLF…". NULs are dropped:
/// neither form may hold one. 8-bit text goes as a literal, which both IMAP4rev1 and IMAP4rev2 clients understand.
void append_imap_string(std::string& out, std::string_view text);

/// Octets of text from header fields that the responses of one message may still take. What goes beyond is left out, so that a header of
/// fifty megabytes, or of a hundred thousand short addresses, doesn't become a record and a reply of many times its size.
class WireBudget {
 public:
  explicit WireBudget(std::size_t octets) noexcept : left_(octets) {}
  /// False, and nothing is taken any more, where there is not enough.
  bool take(std::size_t octets) noexcept {
    if (octets > left_)
      left_ = 0;
    else
      left_ -= octets;
    return left_ > 0;
  }
  bool spent() const noexcept { return left_ == 0; }

 private:
  std::size_t left_;
};

}  // namespace relais::message
