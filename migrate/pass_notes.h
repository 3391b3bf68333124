// What a pass of the mirror has told, as the journal wants it.
#pragma once

#include "migrate/journal.h"
#include "migrate/mirror.h"

#include <cstddef>
#include <set>
#include <string>
#include <vector>

namespace relais::migrate {

/// Collects, so that a pass costs a transaction for many mailboxes and not one for each: a cursor that is journaled late is one that is too
/// old, and that is harmless.
class PassNotes {
 public:
  void in_step(const SourceMailbox& mailbox, Cursor cursor);
  void gone(std::string wire);
  void finding(Finding finding);
  void postponed(const SourceMailbox& mailbox, const Error& why);

  std::size_t size() const noexcept { return step_.mailboxes.size() + step_.gone.size() + step_.findings.size(); }
  /// What is to be journaled; nothing is kept.
  JournalStep take();
  /// Storage names of the mailboxes that something was done to.
  const std::set<std::string>& touched() const noexcept { return touched_; }
  /// A mailbox that could not be brought in step, and why; empty: all were.
  const std::string& left_behind() const noexcept { return left_behind_; }

 private:
  JournalStep step_{};
  std::set<std::string> touched_{};
  std::string left_behind_{};
};

/// An error for the journal: text and detail, one line of at most 500 octets.
std::string one_line(const Error& error);

/// All that verify() may find: what is resolved when it finds nothing.
std::vector<Resolved> resolved_differences();
/// The most findings of one verification that are journaled; a person reads them.
inline constexpr std::size_t kMostDifferences = 200;
/// The first ones, and one that says how many there are.
std::vector<Finding> shortened(std::vector<Finding> differences);

}  // namespace relais::migrate
