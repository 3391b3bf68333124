// A SEARCH made ready: the tree of keys with all that does not depend on the message worked out.
#pragma once

#include "imap/proto/search.h"
#include "imap/server/search_text.h"
#include "imap/server/selected.h"
#include "message/decode.h"
#include "storage/types.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace relais::imap {

/// What must be known of a message to decide a key, cheapest first.
enum class Level : std::uint8_t { number, flags, meta, header, content };
inline constexpr std::size_t kLevels = 5;

/// The answer as far as it is known.
enum class Verdict : std::uint8_t { no, yes, unknown };

/// One message under examination.
struct Candidate {
  const storage::MessageView& view;
  Level level = Level::flags;        ///< how much of it is known
  const SearchText* text = nullptr;  ///< at Level::content
};

class SearchProgram {
 public:
  /// Resolves sequence numbers and keywords against the mailbox. A sequence number above EXISTS matches nothing: RFC 9051 §9 `seq-number`
  /// would have BAD, but clients search "1:*" in an empty mailbox, and other servers let them. Errors: Fault::refused [LIMIT].
  /// @param now  seconds since epoch, for OLDER and YOUNGER
  static Result<SearchProgram> compile(const SearchKey& root, const Selected& box, std::int64_t now);

  Verdict evaluate(const Candidate& candidate) const { return evaluate(root_, candidate); }
  /// The messages that the sets of the query leave.
  NumberSet candidates(const NumberSet& all) const;
  /// Whether candidates() is the answer.
  bool sets_only() const noexcept { return !uses(Level::flags) && !uses(Level::meta) && !uses(Level::header) && !uses(Level::content); }
  bool uses(Level level) const noexcept { return levels_[static_cast<std::size_t>(level)]; }
  /// What Level::content must bring.
  SearchNeeds needs() const noexcept { return needs_; }
  /// How many keys a message may have to be held against.
  std::size_t keys() const noexcept { return keys_; }

  /// BODY and TEXT keys of one search: each goes over every message's text. Our own limit; beyond it Fault::refused [LIMIT].
  static constexpr std::size_t kMaxTextKeys = 64;

 private:
  struct Node {
    SearchKey::Kind kind = SearchKey::Kind::all;
    bool negated = false;
    bool addresses = false;
    Level level = Level::number;
    std::uint64_t number = 0;  ///< size, flag bits, mod-sequence, object id
    std::int64_t day = 0;      ///< days or seconds since epoch
    std::string name{};
    std::optional<message::Searcher> key{};
    NumberSet set{};
    std::vector<Node> nodes{};
  };

  Result<Node> build(const SearchKey& key, const Selected& box, std::int64_t now);
  static Verdict evaluate(const Node& node, const Candidate& candidate);
  static Verdict decide(const Node& node, const Candidate& candidate);
  static bool holds(const Node& node, const storage::MessageView& view);
  static Verdict in_header(const Node& node, const Candidate& candidate);
  static NumberSet members(const Node& node, const NumberSet& all);

  Node root_;
  std::array<bool, kLevels> levels_{};
  SearchNeeds needs_;
  std::size_t keys_ = 0;
  std::size_t text_keys_ = 0;
};

}  // namespace relais::imap
