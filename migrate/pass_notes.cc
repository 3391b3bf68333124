// From a mirror's events to a step of the journal.
#include "migrate/pass_notes.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace relais::migrate {
namespace {

// What the mirror says of a mailbox that it has given up for this time: over once the mailbox is in step.
constexpr std::array<std::string_view, 3> kPassing{"mailbox-failed", "mailbox-refused", "no-state"};
// What it says of single messages: said again where the mailbox is copied again.
constexpr std::array<std::string_view, 6> kOfMessages{"unreadable",     "size-wrong", "no-date",
                                                      "digest-differs", "odd-flags",  "keywords-dropped"};
constexpr std::array<std::string_view, 15> kDifferences{"missing",
                                                        "extra",
                                                        "flags-differ",
                                                        "date-differs",
                                                        "size-differs",
                                                        "mailbox-missing",
                                                        "mailbox-extra",
                                                        "kind-differs",
                                                        "uidvalidity-differs",
                                                        "uidnext-differs",
                                                        "count-differs",
                                                        "special-use-differs",
                                                        "subscriptions-differ",
                                                        "digest-differs",
                                                        "more-differences"};

}  // namespace

void PassNotes::in_step(const SourceMailbox& mailbox, Cursor cursor) {
  const auto resolve = [&](const auto& codes) {
    for (const auto code : codes) {
      std::erase_if(step_.findings, [&](const Finding& said) { return said.code == code && said.mailbox == mailbox.name; });
      step_.resolved.push_back({.code = std::string(code), .mailbox = mailbox.name});
    }
  };
  if (cursor == Cursor{})
    resolve(kOfMessages);
  else
    resolve(kPassing);
  std::erase_if(step_.mailboxes, [&](const MailboxStep& before) { return before.wire == mailbox.wire; });
  step_.mailboxes.push_back({.wire = mailbox.wire, .name = mailbox.name, .cursor = cursor});
  touched_.insert(mailbox.name);
}

void PassNotes::gone(std::string wire) {
  std::erase_if(step_.mailboxes, [&](const MailboxStep& before) { return before.wire == wire; });
  step_.gone.push_back(std::move(wire));
}

void PassNotes::finding(Finding finding) { step_.findings.push_back(std::move(finding)); }

void PassNotes::postponed(const SourceMailbox& mailbox, const Error& why) { left_behind_ = mailbox.name + ": " + one_line(why); }

JournalStep PassNotes::take() { return std::exchange(step_, {}); }

std::string one_line(const Error& error) {
  constexpr std::size_t kMost = 500;
  auto line = error.detail.empty() ? error.text : error.text + ": " + error.detail;
  std::ranges::replace_if(line, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }, ' ');
  if (line.size() > kMost) line.resize(kMost);
  return line;
}

std::vector<Resolved> resolved_differences() {
  std::vector<Resolved> all;
  for (const auto code : kDifferences) all.push_back({.code = std::string(code)});
  return all;
}

std::vector<Finding> shortened(std::vector<Finding> differences) {
  if (differences.size() <= kMostDifferences) return differences;
  const auto more = differences.size() - kMostDifferences;
  differences.resize(kMostDifferences);
  differences.push_back({.code = "more-differences", .weight = Weight::red, .text = std::to_string(more) + " more differences"});
  return differences;
}

}  // namespace relais::migrate
