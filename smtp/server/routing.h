// Where mail for an address goes: into mailboxes here, to a platform that accounts are moved from, to another host, or back to a forwarded
// sender.
#pragma once

#include "base/clock.h"
#include "directory/directory.h"
#include "net/task.h"
#include "smtp/queue/transport.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace relais::smtp {

/// An address that mail goes on to, and where that is.
struct Onward {
  enum class Why : std::uint8_t {
    remote,   ///< not ours: for those who may send everywhere
    forward,  ///< an alias of ours leads there: the reverse-path is rewritten (SRS)
    bounce,   ///< an SRS address of ours, reversed: where its mail came from
    relay,    ///< our domain, nobody here, and a route of exactly that domain: the other host knows its users
    legacy,   ///< an account that has not been moved yet
    moving,   ///< an account that is being moved: waits
  };
  Why why = Why::remote;
  std::string address;                          ///< what the next host is told
  std::string destination;                      ///< to_string(Destination)
  std::optional<directory::Account> account{};  ///< of Why::legacy: whose placement a transfer acts on
};

/// Everything that one recipient address leads to.
struct Whereabouts {
  enum class Kind : std::uint8_t {
    known,     ///< `accounts` and `onward`, at least one of them
    unknown,   ///< our domain, nobody there: 550 5.1.1
    disabled,  ///< 550 5.2.1
    foreign,   ///< not ours: `onward` has the one way there, for who may use it
  };
  Kind kind = Kind::unknown;
  std::vector<directory::Account> accounts{};  ///< whose mail lies here (placement: shard)
  std::vector<Onward> onward{};
};

/// Asks directory, routes and SRS; keeps nothing, so that every change is seen at once.
///
/// Threads: any loop's. Lifetime: the directory outlives it.
class Routing final : public queue::Router {
 public:
  explicit Routing(directory::Directory& directory, const Clock& clock = system_clock()) : directory_(directory), clock_(clock) {}

  /// @param address  local@domain, or a local part alone for the postmaster
  /// Errors: Fault::temporary where the directory can't tell; Fault::refused with an enhanced status for a forged, expired or malformed SRS
  ///   address and for one that is none.
  net::Task<Whereabouts> look_up(std::string address);
  /// The same for one account by its own address, past aliases: what a "local" or "account:N" destination was meant for. `given` is looked
  /// up where the account is no more.
  net::Task<Whereabouts> look_up_account(std::string address);

  /// For reports, and for the queue's own questions: "local" where the address leads to anything of ours (the local lane expands it).
  net::Task<std::string> destination(std::string address) override;

  /// The reverse-path for mail that the alias `through` sends on: as it is where it is null, ours, or ours already rewritten; else SRS
  /// under the alias's domain, whose mail comes to us. Errors: Fault::refused 5.1.7 where it can't be rewritten; Fault::temporary.
  net::Task<std::string> forward_sender(std::string sender, std::string through);

 private:
  net::Task<bool> is_srs(const std::string& local_part, const std::string& domain);
  net::Task<Whereabouts> reverse(std::string address, std::string domain);
  net::Task<std::string> way_to(std::string domain);

  directory::Directory& directory_;
  const Clock& clock_;
};

}  // namespace relais::smtp
