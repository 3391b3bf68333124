// What administrators see of the queue and do with it.
#pragma once

#include "smtp/queue/message.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace relais::smtp::queue {

/// Which jobs (a message's recipients of one destination). Everything given must hold; nothing given fits all.
struct Filter {
  std::string id{};           ///< trace id, or queue id as shown
  std::string sender{};       ///< reverse-path, in any case; "<>": null; "@domain": all of it
  std::string recipient{};    ///< address or RCPT address, in any case
  std::string domain{};       ///< of a recipient; or of the destination
  std::string destination{};  ///< as shown: "mx:example.net"
  std::string error{};        ///< part of the last reply, or of the destination's trouble, in any case
  std::optional<std::chrono::seconds> older_than{};
  std::optional<std::chrono::seconds> younger_than{};
  std::optional<bool> held{};
};

/// One recipient as shown.
struct ShownRecipient {
  std::string address;
  std::string given;
  std::string state;  ///< "open", "relayed", "delivered", "failed"
  std::string reply;  ///< last one, with host: "450 4.2.0 greylisted (mx.example [192.0.2.1]:25)"; empty before the first attempt
};

/// One job as shown.
struct ShownJob {
  std::string id;  ///< queue id: shard and number, "0-5f2a…"; names the message
  std::string trace_id;
  std::string destination;
  std::string sender;
  std::uint64_t size = 0;    ///< octets
  std::int64_t arrival = 0;  ///< seconds since the epoch, as all times here
  std::int64_t due = 0;      ///< next attempt; the gate may be later
  std::int64_t expires = 0;
  std::uint32_t attempts = 0;
  bool held = false;
  bool active = false;  ///< an attempt is under way
  int priority = 0;
  std::vector<ShownRecipient> recipients;
};

/// A page of jobs, oldest message first.
struct JobPage {
  std::vector<ShownJob> jobs;
  std::string next;  ///< give it back for the next page; empty at the end
};

/// All of one message.
struct ShownMessage {
  std::string id;
  std::string trace_id;
  std::string parent;
  std::string sender;
  std::string message_id;
  std::string client;
  std::string envelope_id;
  std::uint64_t account = 0;
  std::uint64_t size = 0;
  std::int64_t arrival = 0;
  std::int64_t expires = 0;
  std::int64_t deliver_by = 0;
  bool delay_notice_sent = false;
  std::vector<ShownJob> jobs;
  std::string header;  ///< the message's header, at most 64 KB of it
};

/// A destination as the scheduler sees it now.
struct ShownDestination {
  std::string destination;
  std::uint32_t connections = 0;
  std::uint32_t limit = 0;      ///< connections it may have at present
  std::uint32_t failures = 0;   ///< in a row
  std::int64_t gate_until = 0;  ///< nothing is tried before; 0: open
  std::int64_t next_due = 0;    ///< 0: not known or nothing
  std::string trouble;          ///< what shut the gate
};

enum class Action : std::uint8_t {
  retry,    ///< due now, and its destination's gate opens
  hold,     ///< not tried and not expired until released
  release,  ///< due now
  drop,     ///< removed; nobody is told
};

/// What a bulk action did.
struct ActionResult {
  std::uint64_t jobs = 0;      ///< that were changed
  std::uint64_t messages = 0;  ///< that left the queue altogether (drop)
  std::uint64_t active = 0;    ///< of the jobs, those with an attempt under way: it may still succeed
};

}  // namespace relais::smtp::queue
