// Both ends of one account's move: what the stages do with mail, whatever it is read from and written to.
#pragma once

#include "migrate/mirror.h"
#include "migrate/source.h"
#include "migrate/target.h"
#include "migrate/verify.h"
#include "net/task.h"

#include <memory>
#include <vector>

namespace relais::migrate {

/// Open connections to the source, and the target. Calls come one at a time. Errors and threads: those of Source and Target.
/// Lifetime: not destroyed while a call runs.
class MoveEnds {
 public:
  virtual ~MoveEnds() = default;
  /// How the source names mailboxes, and what it has.
  virtual net::Task<SourceListing> list() = 0;
  virtual net::Task<PassFigures> pass(Cursors& cursors, const MirrorRules& rules, const MirrorEvents& events) = 0;
  virtual net::Task<std::vector<Finding>> verify(VerifyRules rules) = 0;
  virtual net::asio::awaitable<void> close() = 0;
};

/// @param sources  one or more of the same account; the first one lists and verifies
std::unique_ptr<MoveEnds> make_move_ends(std::vector<std::unique_ptr<Source>> sources, std::unique_ptr<Target> target);

}  // namespace relais::migrate
