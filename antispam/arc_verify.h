// ARC: whether the chain of earlier handlers of a message is unbroken.
#pragma once

#include "antispam/message_view.h"
#include "net/resolver.h"
#include "net/task.h"
#include "net/worker_pool.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace relais::antispam {

constexpr unsigned kMaxArcSets = 50;  ///< RFC 8617 §4.2.1

/// What RFC 8617 §5.2 says of a message.
struct ArcChain {
  enum class Status : std::uint8_t {
    none,  ///< no ARC fields
    pass,
    fail,
  };
  Status status = Status::none;
  unsigned instances = 0;       ///< the highest i=; 0 for none
  bool sealable = true;         ///< one more set may be added: the last seal did not say cv=fail, and there are fewer than kMaxArcSets
  bool temporary = false;       ///< fail because a key could not be asked for: might pass later
  unsigned oldest_pass = 0;     ///< arc.oldest-pass (RFC 8617 §5.2 step 5): the first instance from which the message came unchanged; 0: all did
  std::string domain{};           ///< d= of the last seal
  std::string reason{};           ///< in words; empty for none and pass
};

/// "none", "pass", "fail": as in cv= and Authentication-Results.
std::string_view to_string(ArcChain::Status status) noexcept;

/// @param message  must outlive the coroutine   @param now  seconds since epoch; 0: the machine's clock
/// Errors: Fault::temporary where there is no room on the workers. Everything about the message or the DNS is a result.
/// Source: RFC 8617 §5.2.
net::Task<ArcChain> arc_verify(net::Resolver& resolver, net::WorkerPool& workers, MessageView message, std::int64_t now = 0);

}  // namespace relais::antispam
