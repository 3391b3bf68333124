// What a pass of the mirror has told, as the journal wants it.
#pragma once

#include "migrate/journal.h"
#include "migrate/mirror.h"

#include <cstddef>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace relais::migrate {

/// Collects, so that a pass costs a transaction for many mailboxes and not one for each: a cursor that is journaled late is one that is too
/// old, and that is harmless.
class PassNotes {
 public:
  void in_step(const SourceMailbox& mailbox, Cursor cursor);
  void gone(std::string wire);
  void finding(Finding finding);
  void written(const std::string& mailbox, const NumberSet& uids) { written_[mailbox].add(uids); }
  void postponed(const SourceMailbox& mailbox, const Error& why);
  /// The pass has come to its end: a mailbox that it has not told to be left out, or to have failed, is not any more.
  /// @param known  as for take()
  void complete(std::span<const Finding> known);

  std::size_t size() const noexcept { return step_.mailboxes.size() + step_.gone.size() + step_.findings.size(); }
  /// What is to be journaled; nothing of that is kept. A pass says again what is still so: that is not journaled again.
  /// @param known  what is in the journal
  JournalStep take(std::span<const Finding> known);
  /// Storage names of the mailboxes that something was done to.
  const std::set<std::string>& touched() const noexcept { return touched_; }
  /// The messages of each that were appended, expunged, or given flags.
  const std::map<std::string, NumberSet, std::less<>>& written() const noexcept { return written_; }
  /// A mailbox that could not be brought in step, and why; empty: all were.
  const std::string& left_behind() const noexcept { return left_behind_; }
  /// A mailbox that one side has refused, and why; empty: none.
  const std::string& failed() const noexcept { return failed_; }
  /// Mailboxes of the account itself that are not carried, by wire name.
  const std::set<std::string>& left_out() const noexcept { return left_out_; }

 private:
  JournalStep step_{};
  std::set<std::string> touched_{};
  std::map<std::string, NumberSet, std::less<>> written_{};
  std::string left_behind_{};
  std::string failed_{};
  std::set<std::string> left_out_{};
  std::set<std::pair<std::string, std::string>> told_{};  // of what each pass says again: code, mailbox
};

/// There is nothing in it to be journaled.
bool is_empty(const JournalStep& step) noexcept;

/// An error for the journal: text and detail, one line of at most 500 octets.
std::string one_line(const Error& error);

/// All that verify() may find: what is resolved when it finds nothing.
std::vector<Resolved> resolved_differences();
/// The most findings of one verification that are journaled; a person reads them.
inline constexpr std::size_t kMostDifferences = 200;
/// The first ones, and one that says how many there are.
std::vector<Finding> shortened(std::vector<Finding> differences);

}  // namespace relais::migrate
