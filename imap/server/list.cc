// LIST in all its forms and LSUB, over the account's mailboxes and subscriptions.
#include "imap/server/list.h"

#include "imap/proto/list.h"
#include "imap/proto/mailbox.h"
#include "imap/proto/write.h"
#include "imap/server/status.h"

#include <unordered_map>

namespace relais::imap {
namespace {

// A name of the hierarchy. Where `info` is null it exists only because something lies below it.
struct Node {
  std::string_view name;
  const storage::MailboxInfo* info = nullptr;
  bool matched = false;         // by a pattern
  bool selected = false;        // by the selection options
  bool has_children = false;    // existing mailboxes below
  bool child_selected = false;  // something below is selected
  bool child_hidden = false;    // something below is selected, but not matched by a pattern

  bool exists() const noexcept { return info != nullptr && info->exists; }
};

// Every mailbox and subscription with all names above them, as the client knows them, in the store's order. Views into the mailboxes,
// which must outlive it.
class Tree {
 public:
  Tree(const Session& session, const std::vector<storage::MailboxInfo>& mailboxes) : separator_(session.dialect().separator) {
    nodes_.reserve(mailboxes.size());
    if (session.names() != nullptr) shown_.resize(mailboxes.size());
    std::string unused;
    for (std::size_t i = 0; i < mailboxes.size(); ++i) {
      const auto name = session.shown_name(mailboxes[i].name, shown_.empty() ? unused : shown_[i]);
      for_each_parent(name, [this](std::string_view parent) { node(parent); });
      node(name).info = &mailboxes[i];
    }
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (nodes_[i].exists()) mark_parents(nodes_[i].name, [](Node& parent) { parent.has_children = true; });
    }
  }

  std::vector<Node>& nodes() noexcept { return nodes_; }

  // Tells the names above those that are selected.
  void spread_selection() {
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (!nodes_[i].selected) continue;
      const bool hidden = !nodes_[i].matched;
      mark_parents(nodes_[i].name, [hidden](Node& parent) {
        parent.child_selected = true;
        parent.child_hidden = parent.child_hidden || hidden;
      });
    }
  }

 private:
  template <class F>
  void for_each_parent(std::string_view name, F f) const {
    if (separator_ == '\0') return;
    for (auto at = name.find(separator_); at != std::string_view::npos; at = name.find(separator_, at + 1)) f(name.substr(0, at));
  }
  template <class F>
  void mark_parents(std::string_view name, F f) {
    for_each_parent(name, [&](std::string_view parent) { f(node(parent)); });
  }
  Node& node(std::string_view name) {
    const auto [found, fresh] = index_.try_emplace(name, nodes_.size());
    if (fresh) nodes_.push_back(Node{.name = name});
    return nodes_[found->second];
  }

  const char separator_;
  std::vector<std::string> shown_;  // where the client has names of its own: what the nodes point to
  std::vector<Node> nodes_;
  std::unordered_map<std::string_view, std::size_t> index_;
};

// The parts of a name matched by a pattern with its reference put in front (RFC 9051 §6.3.9).
std::vector<std::string> canonical(const std::string& reference, const std::vector<std::string>& patterns) {
  std::vector<std::string> all;
  all.reserve(patterns.size());
  for (const auto& pattern : patterns) {
    auto whole = reference + pattern;
    collapse_wildcards(whole);
    all.push_back(std::move(whole));
  }
  return all;
}

bool matches_any(const std::vector<std::string>& patterns, std::string_view name, char separator) {
  return std::any_of(patterns.begin(), patterns.end(), [=](const std::string& pattern) { return list_matches(pattern, name, separator); });
}

constexpr std::size_t kNamesPerTurn = 256;  // matched before other sessions get their turn

// Which names match. Long names and many patterns with wildcards take a while.
net::asio::awaitable<void> match(Session& session, Tree& tree, const std::vector<std::string>& patterns) {
  std::size_t done = 0;
  for (auto& node : tree.nodes()) {
    node.matched = matches_any(patterns, node.name, session.dialect().separator);
    if (++done % kNamesPerTurn == 0) co_await session.yield();
  }
}

bool is_selected(const ListArgs& args, const Node& node) {
  if (args.select_subscribed && (node.info == nullptr || !node.info->subscribed)) return false;
  if (args.select_special_use && (!node.exists() || node.info->special_use == 0)) return false;
  // Without a selection option: the existing ones, and names that lie above existing ones.
  return args.select_subscribed || node.exists() || node.has_children;
}

using Attributes = std::vector<std::string_view>;

void fill_attributes(Attributes& attributes, const ListArgs& args, const Node& node) {
  attributes.clear();
  if (!node.exists()) {
    attributes.push_back("\\NonExistent");
  } else if (!node.info->selectable) {
    attributes.push_back("\\Noselect");
  }
  attributes.push_back(node.has_children ? "\\HasChildren" : "\\HasNoChildren");
  if (node.info == nullptr) return;
  if ((args.return_subscribed || args.select_subscribed) && node.info->subscribed) attributes.push_back("\\Subscribed");
  for (unsigned bit = 1; bit <= kUseImportant; bit <<= 1) {  // RFC 6154 §2: may be told unasked
    if ((node.info->special_use & bit) != 0) attributes.push_back(name_of(static_cast<SpecialUse>(bit)));
  }
}

}  // namespace

net::Task<Done> list(Session& session, const Tagged& command) {
  RELAIS_CO_TRY(const auto args, parse_list(command.rest, session.dialect()));
  if (!args.extended && args.patterns.size() == 1 && args.patterns.front().empty()) {  // asks for the separator
    constexpr std::array<std::string_view, 1> kNoselect{"\\Noselect"};
    append_list(session.out(), {.name = "", .attributes = kNoselect}, session.dialect());
    co_return Done{"LIST completed"};
  }
  if (args.return_status && (*args.return_status & kStatusHighestModSeq) != 0) session.enable_condstore();
  RELAIS_CO_TRY(const auto mailboxes, co_await session.store().list(session.account()));
  const auto patterns = canonical(args.reference, args.patterns);
  Tree tree(session, mailboxes);
  co_await match(session, tree, patterns);
  for (auto& node : tree.nodes()) node.selected = is_selected(args, node);
  if (args.select_recursive_match) tree.spread_selection();

  std::array<std::string_view, 2> criteria;
  std::size_t criteria_count = 0;
  if (args.select_subscribed) criteria[criteria_count++] = "SUBSCRIBED";
  if (args.select_special_use) criteria[criteria_count++] = "SPECIAL-USE";
  Attributes attributes;
  for (const auto& node : tree.nodes()) {
    // RFC 9051 §6.3.9.3: selected itself, or with something selected below that does not appear by itself.
    if (!node.matched || (!node.selected && !node.child_hidden)) continue;
    fill_attributes(attributes, args, node);
    ListLine line;
    line.name = node.name;
    line.attributes = attributes;
    if (node.child_selected) line.child_info = std::span(criteria).first(criteria_count);
    append_list(session.out(), line, session.dialect());
    if (args.return_status && node.exists() && node.info->selectable) {
      RELAIS_CO_TRY_VOID(co_await send_status(session, node.name, *node.info, *args.return_status));
    }
    if (session.full()) RELAIS_CO_TRY_VOID(co_await session.flush());
  }
  co_return Done{"LIST completed"};
}

net::Task<Done> lsub(Session& session, const Tagged& command) {
  RELAIS_CO_TRY(const auto args, parse_lsub(command.rest, session.dialect()));
  RELAIS_CO_TRY(const auto mailboxes, co_await session.store().list(session.account()));
  const auto patterns = args.pattern ? canonical(args.reference, {*args.pattern}) : std::vector<std::string>();
  Tree tree(session, mailboxes);
  co_await match(session, tree, patterns);
  for (auto& node : tree.nodes()) node.selected = node.info != nullptr && node.info->subscribed;
  tree.spread_selection();
  constexpr std::array<std::string_view, 1> kNoselect{"\\Noselect"};
  for (const auto& node : tree.nodes()) {
    // RFC 3501 §6.3.9: with "%" a name above a subscribed one is shown, as \Noselect where it is not subscribed itself.
    if (!node.matched || (!node.selected && !node.child_hidden)) continue;
    ListLine line;
    line.name = node.name;
    line.lsub = true;
    if (!node.selected) line.attributes = kNoselect;
    append_list(session.out(), line, session.dialect());
    if (session.full()) RELAIS_CO_TRY_VOID(co_await session.flush());
  }
  co_return Done{"LSUB completed"};
}

}  // namespace relais::imap
