// What storage keeps of a message at delivery, so that a FETCH of anything but its text never opens it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "message/header.h"
#include "message/mime.h"

namespace relais::message {

constexpr std::size_t kMaxCachedHeader = 16 * 1024;  ///< octets of Summary::header_fields
/// Octets of text from header fields in envelope and body structure together. Addresses, parameters and texts beyond it are left out of
/// them (not of the message), so that each of these is bounded: a few times this, and 200 octets for each part.
constexpr std::size_t kMaxWireText = std::size_t{1} << 20;

struct Summary {
  /// IMAP wire form of ENVELOPE with its parentheses (RFC 9051 §7.5.2): ready to send, literals within it where a quoted string can't be.
  std::string envelope;
  /// IMAP wire form of BODYSTRUCTURE: with extension data.
  std::string body_structure;
  /// IMAP wire form of BODY: without extension data.
  std::string body;
  /// encode_parts() of the message.
  std::string parts;
  /// Exact copies of the fields for which is_cached_field() holds, in message order, each with its line end, no blank line at the end.
  /// Empty where they would take more than kMaxCachedHeader.
  std::string header_fields;
  bool header_fields_complete = true;  ///< false: header_fields was too large and is empty
  /// The last Date field: seconds since the epoch, UTC; 0 where absent or malformed (then IMAP SORT uses the internal date, RFC 5256 §2.2).
  std::int64_t sent_date = 0;
  /// Its zone in minutes east of UTC. SENTBEFORE, SENTON and SENTSINCE look at the day as written, "disregarding time and timezone"
  /// (RFC 9051 §6.4.4): sent_day().
  std::int16_t sent_zone = 0;
  std::string message_id;  ///< "<…>" of the last Message-ID field, for THREAD; empty where absent or over 998 octets

  /// Days since 1970-01-01 of the Date field as written; 0 where there is none.
  std::int64_t sent_day() const noexcept;
};

/// Never fails, whatever the octets. Linear time; about 10 microseconds for a message of 10 KB.
Summary summarize(std::string_view message);

/// Turns the summary of `message` into that of `trace_header + message`: one parsed message is delivered to many recipients, each with its
/// own Return-Path, Delivered-To and Received in front.
/// @param trace_header  Whole fields, each ended by CRLF; no blank line; none of them part of the envelope (From, Date, …).
void shift(Summary& summary, std::string_view trace_header);

}  // namespace relais::message
