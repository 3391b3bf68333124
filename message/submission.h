// What a submission server mends in the header of a new message, and who it says it is from.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace relais::message {

struct SubmissionContext {
  std::string_view hostname;      ///< ours: the right side of a Message-ID that is added
  std::string_view id;            ///< under which the message is traced: the left side
  std::int64_t now = 0;           ///< seconds since epoch, for a Date that is added
  std::int16_t zone_minutes = 0;  ///< east of UTC
};

/// A submitted message, mended. The new message is `header` and what the old one has from `body_begin` on.
struct Submission {
  std::string header;              ///< whole header, the blank line included; ends with CRLF
  std::size_t body_begin = 0;      ///< offset in the message that was given
  bool added_date = false;
  bool added_message_id = false;
  unsigned removed_bcc = 0;        ///< fields
  std::string message_id;          ///< "<…>", as it is now
  unsigned from_fields = 0;        ///< RFC 5322 §3.6: exactly one is allowed
  std::vector<std::string> from;   ///< addresses of all From fields: "local@domain" as to_string(Address) writes them where they can be parsed,
                                   ///< else as found; groups opened
  std::vector<std::string> sender; ///< of all Sender fields
  /// Every address that a reader could see in From is in `from`: no "@" stands where another reader may find one, each has a domain, and
  /// parse_mailbox accepts each. False is a reason to refuse: what the policy allowed may not be what the recipient is shown.
  bool from_clear = false;
  bool sender_clear = true;  ///< the same for Sender, which many readers show; also where there is none

  bool changed() const noexcept { return added_date || added_message_id || removed_bcc != 0; }
};

/// Adds Message-ID and Date where they are missing (or empty), takes every Bcc and Resent-Bcc out, folded or not, and lists the authors.
/// Never fails, whatever the octets; linear time. Other fields keep their octets and order; what is added comes first.
/// @param message  CRLF line ends; the body is not looked at and may be missing
/// Pure. Source: RFC 6409 §8.1 to §8.4, RFC 5322 §3.6.3 (Bcc), RFC 6854 (groups in From).
Submission mend_submission(std::string_view message, const SubmissionContext& context);

}  // namespace relais::message
