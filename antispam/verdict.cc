// Verdicts and how several become one.
#include "antispam/verdict.h"

#include <iterator>
#include <utility>

namespace relais::antispam {

std::string_view to_string(Action action) noexcept {
  switch (action) {
    case Action::accept: return "accept";
    case Action::defer: return "defer";
    case Action::reject: return "reject";
  }
  return "unknown";
}

void Verdict::merge(Verdict other) {
  if (other.action > action) {
    action = other.action;
    text = std::move(other.text);
  }
  reasons.insert(reasons.end(), std::make_move_iterator(other.reasons.begin()), std::make_move_iterator(other.reasons.end()));
}

}  // namespace relais::antispam
