// How mail to a destination is sent: limits, retry schedule, and what an administrator has overridden.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace relais::smtp::queue {

/// Pauses between attempts: first, first*factor, first*factor^2 … up to longest, each changed at random by up to `jitter` of itself.
struct RetrySchedule {
  std::chrono::seconds first{120};
  std::chrono::seconds longest{2 * 3600};
  double factor = 2.0;
  double jitter = 0.2;  ///< 0 to 0.9

  /// The pause after the n-th failure in a row. @param n from 1 on   @param random in [0, 1): the jitter's choice
  std::chrono::milliseconds pause(std::uint32_t n, double random) const noexcept;
};

/// What holds for one destination.
struct Rule {
  std::uint32_t concurrency = 20;         ///< connections at a time, at most
  std::uint32_t initial_concurrency = 2;  ///< where nothing is known of it
  std::uint32_t rate = 0;                 ///< messages a minute, at most; 0: no limit
  std::uint32_t messages_per_connection = 100;
  std::chrono::seconds connection_time{300};       ///< after which a connection takes no further message
  std::uint32_t recipients_per_transaction = 100;  ///< RFC 5321 §4.5.3.1.8: every server takes 100
  RetrySchedule retry{};
  std::string source_address{};  ///< numeric; connections come from it; empty: the system chooses
};

/// What an administrator gives for a domain or a destination; what is not given stays as it is.
struct Override {
  /// "example.net" (the MX destination of that domain, and of no other), "*.example.net" (all names below it), or a destination as written
  /// in lists: "smtp:relay.example:25", "local".
  std::string match;
  std::optional<std::uint32_t> concurrency{};
  std::optional<std::uint32_t> rate{};
  std::optional<std::uint32_t> messages_per_connection{};
  std::optional<std::uint32_t> recipients_per_transaction{};
  std::optional<std::chrono::seconds> first_retry{};
  std::optional<std::chrono::seconds> longest_retry{};
  std::optional<std::string> source_address{};
  std::optional<std::string> smarthost{};  ///< "smtp://relay.example:25": as a route of that domain; the Router asks for it
  std::optional<std::string> tls{};        ///< "none", "may", "encrypt", "verify": for OutboundOptions::rule
};

/// Defaults and overrides. Immutable: a reload makes another one. Threads: any.
class Rules {
 public:
  Rules() = default;
  /// @param remote, local  what holds where nothing is overridden; `local` is for "local" and "account:…"
  Rules(Rule remote, Rule local, std::vector<Override> overrides);

  /// The defaults for local destinations: ours are near, so they are tried again soon.
  static Rule local_rule();
  /// What holds for a destination as written ("mx:example.net").
  Rule of(std::string_view destination) const;
  /// The override that fits best: an exact one, else the one with the longest wildcard; null where none does. Valid as long as the Rules.
  const Override* find(std::string_view destination) const;

 private:
  Rule remote_{};
  Rule local_ = local_rule();
  std::map<std::string, Override, std::less<>> exact_;      ///< by destination
  std::map<std::string, Override, std::less<>> wildcards_;  ///< by what follows "*."
};

}  // namespace relais::smtp::queue
