// Who gets what a FETCH brings.
#pragma once

#include "imap/proto/response.h"
#include "net/task.h"

#include <cstdint>
#include <string_view>

namespace relais::imap {

/// Messages or parts that come in. The octets of a large literal come in pieces, so that a message is never whole in memory unless the
/// receiver wants it; smaller ones (ResponseLimits::inlined) are in the FetchResult.
///
/// Called on the client's loop, for each large literal: begin, octets (any number), then for each response: end. The connection is not read
/// meanwhile: this is the back-pressure. An Error from any of them ends the command's use of the receiver: the rest is read and
/// dropped, and the error comes back when the command has ended. A response that cannot be parsed has no end(), also where begin() was
/// called for it: the next begin() or end() belongs to another.
class FetchReceiver {
 public:
  virtual ~FetchReceiver() = default;
  /// The literal of a section is about to come: `so_far.sections.back()`, whose size is told. What is known of the message besides is what
  /// stands in front of it; servers send items in any order.
  virtual Result<void> begin(const FetchResult& so_far) = 0;
  /// @param piece  valid until the coroutine ends
  virtual net::Task<void> octets(std::string_view piece) = 0;
  /// A whole FETCH response; sections that were handed to begin() are in it as references.
  virtual net::Task<void> end(FetchResult result) = 0;
};

}  // namespace relais::imap
