// The readable text of a message, as SEARCH's TEXT, BODY and HEADER look at it.
#pragma once

#include "message/decode.h"
#include "message/mime.h"
#include "storage/types.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace relais::imap {

/// A field's value with encoded words decoded and folding removed; the value itself where it is plain. The view lives until the next call
/// on the same thread.
std::string_view readable(std::string_view value);

/// Which keys a search has: what of a message must be read for them.
struct SearchNeeds {
  bool body = false;          ///< BODY or TEXT
  bool part_headers = false;  ///< TEXT
};

/// One message's headers and the text of its parts. Reused from message to message.
class SearchText {
 public:
  void clear();
  /// The message's own header, as it is.
  void set_header(std::string_view header) { header_ = header; }
  /// The header of a part, or of an embedded message: TEXT looks at it, BODY does not (RFC 9051 §6.4.4).
  void add_part_header(std::string_view header);
  /// A leaf part: kept where it is text. @param mime_header with Content-Type  @param body still transfer-encoded
  void add_part(std::string_view mime_header, message::Encoding encoding, std::string_view body);
  /// Whether add_part() would keep a part with this header: one of type text or message, such as message/delivery-status (RFC 9051
  /// §6.4.4: only others may be left out).
  static bool is_text(std::string_view mime_header);

  std::string_view header() const noexcept { return header_; }
  /// In any header, those of the parts included as far as they were added.
  bool found_in_headers(const message::Searcher& key) const;
  bool found_in_body(const message::Searcher& key) const;

 private:
  std::string header_;
  std::string part_headers_;        ///< readable
  std::vector<std::string> texts_;  ///< UTF-8
};

/// Fills `text` from a message whose octets are at hand.
void read_text(SearchText& text, const storage::MessageView& view, SearchNeeds needs);

}  // namespace relais::imap
