// MTA-STS policies in memory, and who fetches which.
#pragma once

#include "net/completion.h"
#include "smtp/outbound/sts_policy.h"
#include "smtp/outbound/tls_policy.h"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace relais::smtp {

/// The last fetch of a domain's policy that failed.
struct StsTrouble {
  std::string id;  ///< of the TXT record
  std::int64_t at = 0;
  TlsFailure failure = TlsFailure::none;
  std::string reason{};
};

/// Threads: any.
class StsCache {
 public:
  StsCache(std::size_t max_policies, std::size_t max_octets) : max_policies_(max_policies), max_octets_(max_octets) {}

  using Policy = std::shared_ptr<const StsPolicy>;
  /// The domain's policy, expired or not.
  Policy find(std::string_view domain) const;
  /// Keeps it. @return domains that made room for it: their files go
  std::vector<std::string> put(const std::string& domain, Policy policy, bool saved);
  void erase(const std::string& domain);
  void mark_saved(const std::string& domain, const Policy& policy);
  std::size_t size() const;

  std::optional<StsTrouble> trouble(const std::string& domain) const;
  /// Remembered for as long as there is room: the oldest goes.
  void set_trouble(const std::string& domain, StsTrouble trouble);

  /// What refresh() has to do at a time.
  struct Due {
    std::vector<std::string> expired;
    std::vector<std::string> old;
    std::vector<std::pair<std::string, Policy>> unsaved;
  };
  Due due(std::int64_t now, std::int64_t refresh_age) const;

  /// The right to fetch a domain's policy; given back by the destructor, which resumes those who wait.
  class Turn {
   public:
    Turn(StsCache& cache, std::string domain) : cache_(&cache), domain_(std::move(domain)) {}
    Turn(Turn&& other) noexcept : cache_(std::exchange(other.cache_, nullptr)), domain_(std::move(other.domain_)) {}
    Turn& operator=(Turn&&) = delete;
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn();

   private:
    StsCache* cache_;
    std::string domain_;
  };
  /// nullopt where somebody else has it.
  std::optional<Turn> take_turn(const std::string& domain);
  using Waiter = net::Completion<std::monostate>;
  /// Resumes it when the one who has the turn gives it back; at once where nobody has.
  void wait(const std::string& domain, Waiter waiter);
  /// No one waits any longer.
  void end();

 private:
  struct Kept {
    Policy policy;
    std::size_t octets = 0;
    bool saved = false;
  };
  void drop(std::map<std::string, Kept, std::less<>>::iterator entry);
  void give_back(const std::string& domain);

  const std::size_t max_policies_;
  const std::size_t max_octets_;
  mutable std::mutex mutex_;  // guards all below
  std::map<std::string, Kept, std::less<>> kept_;
  std::set<std::pair<std::int64_t, std::string>> by_expiry_;
  std::size_t octets_ = 0;
  std::map<std::string, StsTrouble, std::less<>> troubles_;
  std::set<std::pair<std::int64_t, std::string>> troubles_by_age_;
  std::map<std::string, std::vector<Waiter>, std::less<>> turns_;  ///< domains that are being fetched
  bool ended_ = false;
};

}  // namespace relais::smtp
