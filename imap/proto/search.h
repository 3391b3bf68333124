// SEARCH: a tree of keys, and what to return.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "imap/proto/values.h"

namespace relais::imap {

/// One node. Keys that others can express are rewritten: UNSEEN is a negated `flags`, FROM is `header`, NEW is `all_of` with
/// `recent` and a negated `flags`, NOT toggles `negated` of what it stands before.
struct SearchKey {
  enum class Kind : std::uint8_t {
    all,       ///< every message
    all_of,    ///< `keys`, every one; empty never occurs
    any_of,    ///< `keys`, at least one (OR)
    sequence,  ///< `set`: sequence numbers
    uid,       ///< `set`: UIDs
    flags,     ///< `bits`: one system flag is set
    recent,    ///< \Recent is set (RFC 3501)
    keyword,   ///< `text`
    header,    ///< field `name` contains `text`; an empty text asks whether the field is there
    body,      ///< the body contains `text`
    text,      ///< header or body contains `text`
    larger,    ///< RFC822.SIZE > `number` octets
    smaller,   ///< RFC822.SIZE < `number` octets
    before,    ///< INTERNALDATE's day < `date`
    on,
    since,        ///< INTERNALDATE's day >= `date`
    sent_before,  ///< the same on the Date: header
    sent_on,
    sent_since,
    saved_before,  ///< the same on the save date (RFC 8514)
    saved_on,
    saved_since,
    save_date_supported,  ///< the mailbox keeps save dates
    older,                ///< INTERNALDATE at least `number` seconds ago (RFC 5032)
    younger,              ///< INTERNALDATE at most `number` seconds ago
    mod_seq,    ///< mod-sequence >= `number` (RFC 7162 §3.1.5); entry name and type are accepted and ignored, as we keep one per message
    email_id,   ///< EMAILID is `text` (RFC 8474 §6)
    thread_id,  ///< THREADID is `text`
  };
  Kind kind = Kind::all;
  bool negated = false;
  bool addresses = false;  ///< of `header`: FROM, TO, CC and BCC, which look at the envelope's addresses (RFC 9051 §6.4.4)
  std::uint8_t bits = 0;
  std::uint64_t number = 0;
  std::chrono::sys_days date{};
  std::string name;
  std::string text;
  SequenceSet set;
  std::vector<SearchKey> keys;
};

struct SearchReturn {
  bool given = false;  ///< RETURN was written: answer with ESEARCH
  bool min = false;
  bool max = false;
  bool all = false;  ///< set for `RETURN ()` too (RFC 4731 §3.1)
  bool count = false;
  bool save = false;                    ///< RFC 5182: "$"
  std::optional<PartialRange> partial;  ///< RFC 9394; never together with `all`
};

struct SearchArgs {
  SearchReturn returns;
  std::string charset;        ///< in upper case; empty where none was named. The texts are UTF-8 where it is empty, US-ASCII or UTF-8
  SearchKey root;             ///< all_of where several keys stand side by side
  bool uses_mod_seq = false;  ///< MODSEQ occurs: CONDSTORE is enabled, the answer ends in MODSEQ (RFC 7162 §3.1.5)
};

inline constexpr std::size_t kMaxSearchDepth = 256;  ///< nesting of NOT, OR and parentheses; our own limit
inline constexpr std::size_t kMaxSearchKeys = 4096;  ///< nodes; our own limit

/// Parses what follows "SEARCH" (also for UID SEARCH). Fault::syntax; Fault::refused [LIMIT] where the tree is too deep or large.
/// Source: RFC 9051 §6.4.4, RFC 3501 §6.4.4 (NEW, OLD, RECENT), RFC 4731, RFC 5182, RFC 5032, RFC 7162 §3.1.5, RFC 8474, RFC 8514, RFC
/// 9394.
Result<SearchArgs> parse_search(std::string_view rest, Dialect dialect = {});

}  // namespace relais::imap
