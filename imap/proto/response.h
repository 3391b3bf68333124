// What a server says, as values: for clients of other servers (migration, relaying of accounts that have not moved yet).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/number_set.h"
#include "base/result.h"
#include "imap/proto/values.h"

namespace relais::imap {

/// "[NAME arguments]". The name in upper case, the arguments as sent.
struct ResponseCode {
  std::string name;
  std::string arguments;
};

/// OK, NO, BAD, BYE, PREAUTH, and "+".
struct StatusText {
  std::optional<ResponseCode> code;
  std::string text;
};

/// A mailbox name from a server.
struct WireName {
  std::string wire;                 ///< as sent (quoting undone): what the server understands
  std::optional<std::string> utf8;  ///< decoded; nullopt where it is neither modified UTF-7 nor UTF-8
};

struct ListedMailbox {
  bool lsub = false;
  std::vector<std::string> attributes;  ///< "\HasChildren", as sent
  std::optional<char> separator;        ///< nullopt for NIL: a flat name
  WireName name;
  std::vector<std::string> child_info;  ///< RFC 5258 §3.5
  std::optional<WireName> old_name;
  bool has_attribute(std::string_view attribute) const noexcept;  ///< without regard to case
};

struct MailboxStatus {
  WireName name;
  std::vector<std::pair<std::string, std::uint64_t>> numbers;  ///< names in upper case
  std::string mailbox_id;                                      ///< RFC 8474
  std::optional<std::uint64_t> get(std::string_view upper) const noexcept;
};

struct SearchResult {
  NumberSet numbers;
  std::optional<std::uint64_t> mod_seq;
};

struct EsearchResult {
  std::string tag;
  bool uid = false;
  std::optional<std::uint32_t> min, max;
  std::optional<std::uint64_t> count, mod_seq;
  NumberSet all;
};

struct Namespaces {
  struct Entry {
    std::string prefix;  ///< as sent
    std::optional<char> separator;
  };
  std::vector<Entry> personal, others, shared;
};

/// The octets of a string, or where the caller put them.
struct Octets {
  std::string inlined;
  std::optional<std::size_t> literal;  ///< number of the literal that ResponseFramer handed out
  std::uint64_t size = 0;              ///< octets, in either case
};

struct FetchedSection {
  std::string name;                     ///< "BODY[1.HEADER]", "RFC822", "BINARY[2]": as sent, the partial's origin excluded
  std::optional<std::uint64_t> origin;  ///< "<0>"
  std::optional<Octets> octets;         ///< nullopt for NIL
};

struct FetchResult {
  std::uint32_t sequence = 0;
  std::optional<std::uint32_t> uid;
  std::optional<std::vector<std::string>> flags;  ///< as sent
  std::optional<DateTime> internal_date;
  std::optional<std::uint64_t> size;
  std::optional<std::uint64_t> mod_seq;
  std::string email_id, thread_id;
  std::vector<FetchedSection> sections;
  /// Everything else by its name in upper case, its value as sent (ENVELOPE, BODYSTRUCTURE, X-GM-LABELS, …).
  std::vector<std::pair<std::string, std::string>> others;
};

struct VanishedResult {
  bool earlier = false;
  NumberSet uids;
};

struct QuotaResult {
  struct Resource {
    std::string name;  ///< in upper case
    std::uint64_t usage = 0;
    std::uint64_t limit = 0;
  };
  std::string root;
  std::vector<Resource> resources;
};

struct Response {
  enum class Kind : std::uint8_t {
    go_ahead,    ///< "+": StatusText
    ok,          ///< StatusText
    no,          ///< StatusText
    bad,         ///< StatusText
    bye,         ///< StatusText
    preauth,     ///< StatusText
    capability,  ///< words in upper case
    enabled,     ///< words in upper case
    flags,       ///< words as sent
    list,        ///< ListedMailbox, LSUB too
    status,
    search,
    esearch,
    namespaces,
    exists,   ///< number
    recent,   ///< number
    expunge,  ///< number
    fetch,
    vanished,
    id,  ///< fields
    quota,
    quota_root,  ///< words: mailbox as sent, then the roots
    other,       ///< untagged data that we don't know: std::string, the text behind "* "
  };
  using Words = std::vector<std::string>;
  static constexpr std::size_t kMaxWords = 1'000;  ///< of CAPABILITY and ENABLED: with more they can't be understood
  using Fields = std::vector<std::pair<std::string, std::optional<std::string>>>;
  using Data = std::variant<std::monostate, StatusText, Words, ListedMailbox, MailboxStatus, SearchResult, EsearchResult, Namespaces,
                            std::uint32_t, FetchResult, VanishedResult, Fields, QuotaResult, std::string>;

  Kind kind = Kind::other;
  std::string tag;  ///< of a tagged response; empty for untagged ones and "+"
  Data data;

  template <class T>
  const T& as() const {
    return std::get<T>(data);
  }
};

/// Parses one response.
///
/// Tolerant where servers are known to be sloppy: 8-bit text in quoted strings, missing human text, spaces at ends and between items,
/// flags with unusual characters, INTERNALDATE without its leading space. Untagged responses that we don't know are Kind::other.
///
/// @param text      From ResponseFramer::text().
/// @param literals  How many literals the framer handed out; a reference to another is refused.
/// @return Fault::syntax where a response that we know can't be understood.
/// Bounded nesting, linear time. Source: RFC 9051 §7 and §9, RFC 3501 §7, and the extensions of the commands' headers.
Result<Response> parse_response(std::string_view text, std::size_t literals = 0);

/// COPYUID's two sets in the order sent, cut so that the i-th range of the one and of the other have the same length (RFC 4315 §3).
struct CopyUid {
  std::uint32_t uid_validity = 0;
  std::vector<NumberRange> from, to;
};

/// Parses ResponseCode::arguments of COPYUID. Fault::syntax where the sets are not of one length.
Result<CopyUid> parse_copyuid(std::string_view arguments);

}  // namespace relais::imap
