// Finds the whole life of messages in trace files.
#pragma once

#include "base/result.h"
#include "smtp/trace/event.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace relais::smtp {

struct TraceQuery {
  std::string what;        ///< trace id, Message-ID with or without angle brackets, or address (sender, recipient, alias; in any case)
  std::int64_t since = 0;  ///< seconds since epoch: only messages that something happened to from here on; 0: from the oldest file
  std::size_t max_messages = 20;   ///< the newest ones
  std::size_t max_events = 1'000;  ///< of one message, the oldest ones
};

/// One message's events, oldest first.
struct TracedMessage {
  std::string id;
  std::vector<TraceEvent> events;
  bool cut = false;  ///< there are more than max_events
};

/// Searches from the newest file to the oldest, one mapped at a time, so memory is bounded by the answer. A message that came from one that
/// was asked for by its trace id (a bounce, TraceEvent::parent) is found with it.
///
/// Blocks on the disk: for a worker or a command line.
/// @return the newest message first; empty where nothing is known (or no trace was ever written)
/// Errors: Fault::temporary where a file cannot be read; Fault::syntax for an empty question.
Result<std::vector<TracedMessage>> search_trace(const std::filesystem::path& directory, const TraceQuery& query);

}  // namespace relais::smtp
