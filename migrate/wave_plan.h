// Which accounts of a legacy platform move when: waves, from a few canaries to the rest.
#pragma once

#include "base/result.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace relais::migrate {

/// An account that has not moved. Accounts with the same group move in the same wave: those of one domain, or those that share mailboxes.
/// An empty group ties an account to no other.
struct PlannedAccount {
  std::string address;
  std::string group;
};

/// The group of `--group-by domain`: what follows the last "@", in lower case; empty where there is none.
std::string domain_group(std::string_view address);

/// How much one wave takes.
struct WaveShare {
  std::optional<std::uint32_t> basis_points;  ///< hundredths of a percent of all accounts (not of those left); nullopt: the rest
  friend bool operator==(const WaveShare&, const WaveShare&) = default;
};

/// Parses "1%,5%,25%,rest": percentages with up to two decimals, above 0, and "rest" at the end.
/// @return Fault::syntax with a text that says what is wrong: also where the shares are more than all accounts, or leave some out
Result<std::vector<WaveShare>> parse_wave_shares(std::string_view text);

struct WaveRules {
  std::size_t canary = 0;             ///< accounts of a wave before all others; 0: no such wave
  std::vector<WaveShare> shares{{}};  ///< of the waves that follow, as parse_wave_shares() gives them
};

struct Wave {
  std::string name;                   ///< "canary", "wave 1", …: numbered as the rules have them, those without accounts included
  std::size_t wanted = 0;             ///< accounts that the rules ask for
  std::vector<std::size_t> accounts;  ///< positions in the span that was given, by address; never empty
};

/// Splits accounts into waves.
///
/// Every account is in exactly one wave, and no group in two. Small groups go first, since a wave that goes wrong shall hurt few; among
/// groups of one size the order is that of a hash of their names, so that a wave is a sample of the whole platform and not its beginning in
/// the alphabet. The sizes of waves are what the rules ask for as nearly as whole groups allow: what one wave takes too much or too little,
/// the next ones make up for. A wave for which no group is small enough has no accounts and is left out; then, and wherever `wanted` is far
/// from the number of accounts, the admin should look at the groups before starting.
///
/// Pure: the same accounts, in whatever order, always give the same waves. O(n log n).
/// @return Fault::refused where an address is there twice
Result<std::vector<Wave>> plan_waves(std::span<const PlannedAccount> accounts, const WaveRules& rules);

}  // namespace relais::migrate
