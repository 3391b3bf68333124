// Splits accounts into waves: whole groups, small ones first, cut where the shares say.
#include "migrate/wave_plan.h"

#include "base/ascii.h"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace relais::migrate {
namespace {

constexpr std::uint32_t kWhole = 100 * 100;  // basis points

/// FNV-1a with the finaliser of SplitMix64. Part of what a plan is: a plan that is made again must come out the same.
std::uint64_t spread(std::string_view name) noexcept {
  std::uint64_t h = 0xcbf29ce484222325U;
  for (const char c : name) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  h = (h ^ (h >> 30U)) * 0xbf58476d1ce4e5b9U;
  h = (h ^ (h >> 27U)) * 0x94d049bb133111ebU;
  return h ^ (h >> 31U);
}

/// Accounts that move together: a range of the positions sorted by group.
struct Group {
  std::string_view name;
  bool alone = false;  ///< named after its only account, which has no group
  std::uint64_t order = 0;
  std::span<std::size_t> accounts;
};

std::string_view group_name(const PlannedAccount& account) noexcept { return account.group.empty() ? account.address : account.group; }

// Positions sorted by group, and within it by address, are cut into groups. An account without a group is one, and never meets a group that
// happens to be called like its address.
std::vector<Group> make_groups(std::span<const PlannedAccount> accounts, std::vector<std::size_t>& positions) {
  const auto key = [&](std::size_t i) {
    return std::tuple(group_name(accounts[i]), accounts[i].group.empty(), std::string_view(accounts[i].address));
  };
  std::ranges::sort(positions, {}, key);
  std::vector<Group> groups;
  for (std::size_t first = 0, end = 0; first < positions.size(); first = end) {
    const auto& front = accounts[positions[first]];
    const bool alone = front.group.empty();
    for (end = first + 1; end < positions.size() && !alone && accounts[positions[end]].group == front.group;) ++end;
    groups.push_back({group_name(front), alone, spread(group_name(front)), std::span(positions).subspan(first, end - first)});
  }
  std::ranges::sort(groups, {}, [](const Group& group) { return std::tuple(group.accounts.size(), group.order, group.name, group.alone); });
  return groups;
}

/// What the rules ask for, as waves without accounts.
std::vector<Wave> wanted_waves(std::size_t all, const WaveRules& rules) {
  std::vector<Wave> waves;
  std::size_t left = all;
  const auto add = [&](std::string name, std::size_t wanted) {
    wanted = std::min(wanted, left);
    left -= wanted;
    waves.push_back({std::move(name), wanted, {}});
  };
  if (rules.canary != 0) add("canary", rules.canary);
  for (std::size_t i = 0; i < rules.shares.size(); ++i) {
    const auto& share = rules.shares[i].basis_points;
    // Rounded up: a percent of few accounts is one of them.
    const auto wanted = share ? (all / kWhole * *share + (all % kWhole * *share + kWhole - 1) / kWhole) : left;
    add("wave " + std::to_string(i + 1), wanted);
  }
  return waves;
}

// share = 1*DIGIT [ "." 1*2DIGIT ] "%" / "rest"
Result<WaveShare> parse_share(std::string_view text) {
  const auto bad = [&] {
    return fail(Fault::syntax, "'" + std::string(text) + "' is no share of the accounts; write a percentage such as 5% or 0.25%, or rest");
  };
  if (iequals(text, "rest")) return WaveShare{};
  if (!text.ends_with('%')) return bad();
  const auto number = text.substr(0, text.size() - 1);
  const auto point = number.find('.');
  const auto whole = parse_u64(number.substr(0, point));
  if (!whole || *whole > 100) return bad();
  std::uint64_t hundredths = 0;
  if (point != std::string_view::npos) {
    const auto decimals = number.substr(point + 1);
    const auto parsed = parse_u64(decimals);
    if (!parsed || decimals.size() > 2) return bad();
    hundredths = decimals.size() == 1 ? 10 * *parsed : *parsed;
  }
  const auto points = *whole * 100 + hundredths;
  if (points == 0 || points > kWhole) return bad();
  return WaveShare{static_cast<std::uint32_t>(points)};
}

}  // namespace

std::string domain_group(std::string_view address) {
  const auto at = address.rfind('@');
  return at == std::string_view::npos ? std::string() : to_lower(address.substr(at + 1));
}

Result<std::vector<WaveShare>> parse_wave_shares(std::string_view text) {
  std::vector<WaveShare> shares;
  std::uint32_t sum = 0;
  for (const auto piece : split(text, ',')) {
    if (!shares.empty() && !shares.back().basis_points) return fail(Fault::syntax, "no wave comes after 'rest'");
    RELAIS_TRY(const auto share, parse_share(trim(piece)));
    sum += share.basis_points.value_or(0);
    if (sum > kWhole) return fail(Fault::syntax, "the waves are more than 100% of the accounts");
    shares.push_back(share);
  }
  if (sum < kWhole && shares.back().basis_points) return fail(Fault::syntax, "the waves leave accounts out; end with 'rest'");
  return shares;
}

Result<std::vector<Wave>> plan_waves(std::span<const PlannedAccount> accounts, const WaveRules& rules) {
  std::vector<std::size_t> positions(accounts.size());
  std::iota(positions.begin(), positions.end(), std::size_t{0});
  const auto address = [&](std::size_t i) -> std::string_view { return accounts[i].address; };
  std::ranges::sort(positions, {}, address);
  const auto twice = std::ranges::adjacent_find(positions, {}, address);
  if (twice != positions.end()) return fail(Fault::refused, "the account " + accounts[*twice].address + " is there twice");

  const auto groups = make_groups(accounts, positions);
  auto waves = wanted_waves(accounts.size(), rules);
  std::size_t next = 0;    // group
  std::size_t placed = 0;  // accounts
  std::size_t target = 0;  // accounts that this wave and those before it should have
  for (auto& wave : waves) {
    target += wave.wanted;
    const bool last = &wave == &waves.back();
    // A group goes where its middle falls.
    while (next < groups.size() && (last || 2 * placed + groups[next].accounts.size() <= 2 * target)) {
      const auto members = groups[next++].accounts;
      wave.accounts.insert(wave.accounts.end(), members.begin(), members.end());
      placed += members.size();
    }
    std::ranges::sort(wave.accounts, {}, address);
  }
  std::erase_if(waves, [](const Wave& wave) { return wave.accounts.empty(); });
  return waves;
}

}  // namespace relais::migrate
