// One pass over an account; see mirror.h.
#include "migrate/mirror.h"

#include "base/check.h"
#include "migrate/beside.h"
#include "migrate/mirror_state.h"

#include <boost/asio/this_coro.hpp>

#include <deque>
#include <utility>

namespace relais::migrate {
namespace {

/// One source's share of the mailboxes: the next one that nobody has taken, until none is left.
net::Task<void> take_part(MirrorState& state, Source& source, std::deque<MailboxPair>& work) {
  while (!work.empty() && !state.stopped) {
    auto pair = std::move(work.front());
    work.pop_front();
    auto done = co_await mirror_mailbox(state, source, std::move(pair));
    if (!done) {
      state.stopped = true;
      co_return done;
    }
  }
  co_return Result<void>{};
}

/// Exceptions of one part (no memory, a defect) come out when all have ended.
net::Task<void> share_out(MirrorState& state, const std::vector<Source*>& sources, std::deque<MailboxPair>& work) {
  std::deque<Beside> others;
  for (std::size_t i = 1; i < sources.size(); ++i) {
    others.emplace_back(co_await net::asio::this_coro::executor);
    others.back().start(take_part(state, *sources[i], work));
  }
  std::exception_ptr thrown;
  Result<void> first{};
  try {
    first = co_await take_part(state, *sources.front(), work);
  } catch (...) {
    thrown = std::current_exception();  // rethrown below
    state.stopped = true;
  }
  for (auto& other : others) {
    Result<void> done{};
    try {
      done = co_await other.join();
    } catch (...) {
      thrown = std::current_exception();  // rethrown below
      state.stopped = true;
    }
    if (first && !done) first = std::move(done);
  }
  if (thrown) std::rethrow_exception(thrown);
  co_return first;
}

}  // namespace

net::Task<PassFigures> mirror_pass(std::vector<Source*> sources, Target& target, Cursors& cursors, const MirrorRules& rules,
                                   const MirrorEvents& events) {
  RELAIS_CHECK(!sources.empty());
  const auto began = std::chrono::steady_clock::now();
  MirrorState state{.target = target, .cursors = cursors, .rules = rules, .events = events};
  RELAIS_CO_TRY(auto listing, co_await sources.front()->list());
  // An account has an INBOX. A server that lists nothing has lost sight of it, and nothing here is to go because of that.
  if (listing.mailboxes.empty()) co_return fail(Fault::temporary, "the source lists no mailboxes");
  RELAIS_CO_TRY(auto pairs, co_await mirror_names(state, *sources.front(), std::move(listing)));
  std::deque<MailboxPair> work(std::make_move_iterator(pairs.begin()), std::make_move_iterator(pairs.end()));
  RELAIS_CO_TRY_VOID(co_await share_out(state, sources, work));
  state.figures.took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began);
  co_return state.figures;
}

}  // namespace relais::migrate
