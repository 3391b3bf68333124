// Writes the pieces of IMAP responses. Each function appends to its `out` and formats without allocating beyond it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/number_set.h"
#include "base/result.h"
#include "imap/proto/values.h"

namespace relais::imap {

/// The only place where an Error becomes IMAP text (RFC 9051 §7.1, RFC 5530):
///   syntax BAD, refused NO, temporary NO [UNAVAILABLE], corrupt NO [SERVERBUG], closed nothing at all.
/// error.code overrides the response code; error.detail never leaves the process. Ends in CRLF.
std::string reply_for(std::string_view tag, const Error& error);

// --- strings
/// `string`: quoted where it can be, else a literal (RFC 9051 §4.3). 8-bit text is quoted only in the utf8 dialect and only where it
/// is UTF-8. NUL octets can't be sent in a string and are left out.
void append_string(std::string& out, std::string_view text, Dialect dialect = {});
/// `nstring`: NIL for nullopt.
void append_nstring(std::string& out, std::optional<std::string_view> text, Dialect dialect = {});
/// `astring`: an atom where it can be.
void append_astring(std::string& out, std::string_view text, Dialect dialect = {});
/// `{n}CRLF`, before n octets that the caller sends. The octets must not hold NUL.
void append_literal_start(std::string& out, std::uint64_t octets);
/// `~{n}CRLF` (RFC 3516).
void append_literal8_start(std::string& out, std::uint64_t octets);
/// A mailbox name given in UTF-8, as the dialect wants it (modified UTF-7 or UTF-8).
void append_mailbox(std::string& out, std::string_view utf8_name, Dialect dialect);
/// Text for humans behind OK, NO, BAD: controls and, outside of the utf8 dialect, 8-bit octets become "?".
void append_text(std::string& out, std::string_view text, Dialect dialect = {});

// --- values
/// "(\Seen $Forwarded)".
void append_flags(std::string& out, std::uint8_t system, std::span<const std::string> keywords, bool recent = false);
/// The same for keywords that are views.
void append_flags(std::string& out, std::uint8_t system, std::span<const std::string_view> keywords, bool recent = false);
/// `date-time` with its quotes (RFC 9051 §9).
void append_date_time(std::string& out, DateTime when);
/// "1:3,5" (RFC 9051 §9 uid-set). Nothing for an empty set.
void append_number_set(std::string& out, const NumberSet& set);

// --- whole responses, with "* " and CRLF
/// "* n NAME".
void append_count(std::string& out, std::uint64_t number, std::string_view name);

/// The separator as LIST and NAMESPACE have it: quoted, or NIL for NUL.
void append_separator(std::string& out, char separator);

/// `* NAMESPACE (("INBOX." ".")) NIL NIL`: one personal namespace (RFC 9051 §6.3.10), with the dialect's separator.
/// @param prefix  UTF-8
void append_namespace(std::string& out, std::string_view prefix, Dialect dialect);

/// `* LIST (attributes) "/" name [extended]` (RFC 9051 §7.3.1).
struct ListLine {
  std::string_view name{};                         ///< UTF-8
  std::span<const std::string_view> attributes{};  ///< "\HasChildren", …
  bool lsub = false;
  /// CHILDINFO selection options that a child below matched ("SUBSCRIBED"); RFC 5258 §3.5.
  std::span<const std::string_view> child_info{};
  std::optional<std::string_view> old_name{};  ///< OLDNAME, UTF-8 (RFC 9051 §6.3.9.7)
};
void append_list(std::string& out, const ListLine& line, Dialect dialect);

/// `* STATUS name (…)`: the items asked for, in a fixed order (RFC 9051 §7.3.4).
struct StatusValues {
  std::uint32_t messages = 0;
  std::uint32_t recent = 0;
  std::uint32_t uid_next = 0;
  std::uint32_t uid_validity = 0;
  std::uint32_t unseen = 0;
  std::uint32_t deleted = 0;
  std::uint64_t size = 0;
  std::uint64_t highest_mod_seq = 0;
  std::string_view mailbox_id{};
  std::optional<std::uint64_t> append_limit{};  ///< NIL where there is none
  std::uint64_t deleted_storage = 0;
};
void append_status(std::string& out, std::string_view mailbox, StatusItems items, const StatusValues& values, Dialect dialect);

/// `* SEARCH 2 3 (MODSEQ 9)` (RFC 9051 §7.3.4 obsolete-search-response, RFC 7162 §3.1.5).
void append_search(std::string& out, const NumberSet& found, std::optional<std::uint64_t> mod_seq);

/// `* ESEARCH (TAG "a1") UID MIN 2 MAX 9 ALL 2:9 COUNT 8 MODSEQ 7` (RFC 9051 §7.3.4, RFC 4731). What is unset is left out; so is
/// an empty ALL, MIN and MAX of nothing.
struct Esearch {
  std::string_view tag{};
  bool uid = false;
  std::optional<std::uint32_t> min{};
  std::optional<std::uint32_t> max{};
  const NumberSet* all = nullptr;
  std::optional<std::uint64_t> count{};
  std::optional<PartialRange> partial{};     ///< as asked; with partial_found
  const NumberSet* partial_found = nullptr;  ///< nullptr or empty: NIL (RFC 9394 §3.1)
  std::optional<std::uint64_t> mod_seq{};
};
void append_esearch(std::string& out, const Esearch& result);

/// `* VANISHED (EARLIER) 1:3` (RFC 7162 §3.2.10).
void append_vanished(std::string& out, const NumberSet& uids, bool earlier);

// --- response codes, with brackets and a trailing space
/// "[APPENDUID v uids] " (RFC 4315 §3).
void append_appenduid(std::string& out, std::uint32_t uid_validity, const NumberSet& uids);
/// "[COPYUID v from to] ": `from[i]` became `to[i]`, in that order (RFC 4315 §3). Both of the same length.
void append_copyuid(std::string& out, std::uint32_t uid_validity, std::span<const std::uint32_t> from, std::span<const std::uint32_t> to);

}  // namespace relais::imap
