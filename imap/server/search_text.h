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

/// One message's header and the text of its parts. Reused from message to message.
class SearchText {
 public:
  void clear();
  /// The message's own header, as it is.
  void set_header(std::string_view header) { header_ = header; }
  /// A leaf part: kept where it is text. @param mime_header with Content-Type  @param body still transfer-encoded
  void add_part(std::string_view mime_header, message::Encoding encoding, std::string_view body);
  /// The header of an embedded message: part of the body's text.
  void add_embedded_header(std::string_view header);
  /// Whether add_part() would keep a part with this header.
  static bool is_text(std::string_view mime_header);

  std::string_view header() const noexcept { return header_; }
  bool found_in_header(const message::Searcher& key) const;
  bool found_in_body(const message::Searcher& key) const;

 private:
  std::string header_;
  std::vector<std::string> texts_;  ///< UTF-8
};

/// Fills `text` from a message whose octets are at hand. @param with_body false: the header alone
void read_text(SearchText& text, const storage::MessageView& view, bool with_body);

}  // namespace relais::imap
