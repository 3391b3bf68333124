// From a mirror's events to a step of the journal.
#include "migrate/pass_notes.h"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <tuple>
#include <utility>

namespace relais::migrate {
namespace {

// What the mirror says of a mailbox that it has given up for this time: over once the mailbox is in step.
constexpr std::array<std::string_view, 3> kPassing{"mailbox-failed", "mailbox-refused", "no-state"};
// What it says of single messages: said again where the mailbox is copied again.
constexpr std::array<std::string_view, 6> kOfMessages{"unreadable",     "size-wrong", "no-date",
                                                      "digest-differs", "odd-flags",  "keywords-dropped"};
// Of a mailbox that has no place in the target: said by each pass, by wire name.
constexpr std::array<std::string_view, 2> kLeftOut{"not-carried", "name-clash"};
// The same of one that belongs to somebody else.
constexpr std::string_view kShared = "shared-mailbox";
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

bool is_one_of(std::span<const std::string_view> codes, std::string_view code) { return std::ranges::find(codes, code) != codes.end(); }

/// What a finding is about and all that it says.
auto said(const Finding& finding) {
  return std::tuple<std::string_view, std::string_view, Uid, Weight, std::string_view, std::string_view, std::string_view>(
      finding.code, finding.mailbox, finding.uid, finding.weight, finding.text, finding.source_value, finding.target_value);
}

/// Said again by each pass as long as it is so.
bool is_of_each_pass(std::string_view code) { return code == kShared || is_one_of(kLeftOut, code) || is_one_of(kPassing, code); }

/// Whether this may take the finding out of the journal.
bool may_resolve(const JournalStep& step, const Finding& finding) {
  return !step.gone.empty() || std::ranges::any_of(step.resolved, [&](const Resolved& resolved) {
    return resolved.code == finding.code && (!resolved.mailbox || *resolved.mailbox == finding.mailbox);
  });
}

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

void PassNotes::finding(Finding finding) {
  if (is_one_of(kLeftOut, finding.code)) left_out_.insert(finding.mailbox);
  if (is_of_each_pass(finding.code)) told_.emplace(finding.code, finding.mailbox);
  if (failed_.empty() && is_one_of(kPassing, finding.code)) failed_ = finding.mailbox + ": " + finding.text;
  step_.findings.push_back(std::move(finding));
}

void PassNotes::complete(std::span<const Finding> known) {
  for (const auto& finding : known) {
    if (is_of_each_pass(finding.code) && !told_.contains({finding.code, finding.mailbox}))
      step_.resolved.push_back({.code = finding.code, .mailbox = finding.mailbox, .uid = finding.uid});
  }
}

void PassNotes::postponed(const SourceMailbox& mailbox, const Error& why) { left_behind_ = mailbox.name + ": " + one_line(why); }

JournalStep PassNotes::take(std::span<const Finding> known) {
  auto step = std::exchange(step_, {});
  if (step.findings.empty()) return step;
  std::set<decltype(said(known.front()))> before;
  for (const auto& finding : known) before.insert(said(finding));
  std::erase_if(step.findings, [&](const Finding& now) { return before.contains(said(now)) && !may_resolve(step, now); });
  return step;
}

bool is_empty(const JournalStep& step) noexcept {
  return !step.stage && step.mailboxes.empty() && step.gone.empty() && step.resolved.empty() && step.findings.empty();
}

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
