// Puts accepted messages into mailboxes: never lost, never half, never twice.
#pragma once

#include "base/clock.h"
#include "directory/directory.h"
#include "net/loop.h"
#include "net/task.h"
#include "smtp/queue/transport.h"
#include "smtp/server/intent.h"
#include "smtp/trace/log.h"
#include "storage/store.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace relais::smtp {

/// One account that shall get the message.
struct Target {
  storage::AccountRef account;
  std::string login;       ///< the account's own address
  std::string recipient;   ///< as given in RCPT
  Notify notify{};         ///< whether a bounce is wanted
  OriginalRecipient original{};
};

struct Envelope {
  std::string id;          ///< trace id; unique, at most 100 octets
  std::string sender;      ///< reverse-path without brackets; empty: null
  std::string trace;       ///< complete header fields in front of the message, below Return-Path and Delivered-To
  std::vector<Target> targets;  ///< no account twice
  Ret ret = Ret::unset;    ///< of DSN, for bounces
  std::string envelope_id{};
  bool smtputf8 = false;
};

class Intake;

/// Where mail goes that the agent cannot finish itself. All of it outlives the agent.
struct DeliveryParts {
  Intake* intake = nullptr;          ///< the queue: bounces to senders elsewhere, copies for accounts that have moved meanwhile; null: there is none
  queue::Router* router = nullptr;   ///< where those go; given with `intake`
  TraceLog& trace = no_trace();
};

struct DeliveryOptions {
  std::string hostname = "localhost";           ///< in bounces
  std::chrono::seconds give_up{5 * 24 * 3600};  ///< after this a target that can't be reached is bounced (RFC 5321 §4.5.4.1: 4-5 days)
  std::chrono::seconds first_retry{5};          ///< doubles with each attempt …
  std::chrono::seconds longest_retry{30 * 60};  ///< … up to this (RFC 5321 §4.5.4.1: at least 30 minutes for remote hosts; ours are near)
  std::chrono::milliseconds sweep{500};         ///< how long finished intents may lie before they are cleared, many at once
};

/// The delivery agent.
///
/// One account: a plain append; its result is the answer.
/// Several accounts: first an *intent*, the message with its envelope in front, is appended to a reserved account of one shard (top bit of the
/// AccountId set; mailbox "deferred"). From then on the message will reach everybody:
///   1. intent durable            killed before: nobody has the message, the client got no reply
///   2. append to every account with the delivery id, so that a second append changes nothing
///                                killed within: recover() finds the intent and appends to all again
///   3. the intent is flagged \Deleted    killed before: as 2; nothing changes
///   4. the delivery ids are forgotten    killed within: recover() sees \Deleted and forgets them again, appending nothing
///   5. the intent is expunged
/// 3 to 5 happen later, for many messages at once. What fails in 2 is tried again with growing pauses; what fails for good, or for too long, is
/// bounced: into the mailbox of a local sender (a bounce has an id of its own, so there is one per recipient), to others through the queue. Where
/// nobody can be told (null sender), the message stays in the reserved account's mailbox "held", and an error is logged. An account that has been
/// moved away meanwhile gets its copy through the queue.
///
/// Threads: any may call deliver(); work() and recover() run on one at a time. The store and the directory must outlive it, and it must outlive
/// the loops that run its coroutines.
class Delivery {
 public:
  Delivery(storage::Store& store, directory::Directory& directory, DeliveryOptions options, const Clock& clock = system_clock(), DeliveryParts parts = {});
  ~Delivery();
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;

  /// As Store::prepare().
  net::Task<storage::PreparedPtr> prepare(std::string_view octets);

  /// A value: durable for every target, now or after retries that survive a crash. An Error: nobody got it.
  ///   Fault::temporary, Fault::corrupt  as the Store says
  ///   Fault::refused  one target only: OVERQUOTA and what else Store::append() refuses
  net::Task<void> deliver(Envelope envelope, storage::PreparedPtr message);

  /// Finds what an earlier process left. Several targets are refused (Fault::temporary) while the list of no shard is known.
  /// Errors: the first of a shard that could not be read; call it again then. Shards that were read are not read again.
  net::Task<void> recover();
  /// Does what is due now: retries, bounces, clearing. @return when to call again at the latest
  net::Task<std::chrono::steady_clock::duration> work();
  /// recover() and work() for as long as the loop runs. Once.
  void start(net::Loop& loop);

  /// Intents that are neither finished nor held.
  std::size_t pending() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

/// The reserved account of a shard, and its mailboxes.
storage::AccountRef deferred_account(storage::ShardNumber shard);
inline constexpr std::string_view kDeferredMailbox = "deferred";
inline constexpr std::string_view kHeldMailbox = "held";

}  // namespace relais::smtp
