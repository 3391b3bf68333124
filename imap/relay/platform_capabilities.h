// What may be announced before a login, when nobody knows yet where the account lives.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace relais::imap {

/// Capabilities that clients use from the greeting on.
enum EarlyCapability : std::uint8_t { kImap4rev2 = 1, kLiteralPlus = 2, kEnable = 4, kIdle = 8, kId = 16, kAllEarly = 31 };

/// What each legacy platform announces after login, as far as sessions of both sides must have it in common before. A platform that has
/// shown nothing yet has none of them: the list in the login's answer tells what there is.
///
/// Threads: any.
class PlatformCapabilities {
 public:
  /// These are the platforms that there are.
  void set_platforms(const std::vector<std::string>& names);
  /// A login has shown what this one announces.
  void learned(std::string_view platform, const std::vector<std::string>& after_login);
  /// EarlyCapability bits that all platforms have; all of them where there is no platform.
  std::uint8_t common() const noexcept { return common_.load(std::memory_order_relaxed); }

 private:
  void count();

  std::mutex mutex_;
  std::map<std::string, std::uint8_t, std::less<>> known_;  ///< guarded by mutex_
  std::atomic<std::uint8_t> common_{kAllEarly};
};

}  // namespace relais::imap
