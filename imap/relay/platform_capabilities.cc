// Keeps what is common to all platforms.
#include "imap/relay/platform_capabilities.h"

#include "base/ascii.h"

namespace relais::imap {

void PlatformCapabilities::set_platforms(const std::vector<std::string>& names) {
  const std::lock_guard lock(mutex_);
  std::map<std::string, std::uint8_t, std::less<>> fresh;
  for (const auto& name : names) {
    const auto known = known_.find(name);
    fresh.emplace(name, known == known_.end() ? std::uint8_t{0} : known->second);
  }
  known_ = std::move(fresh);
  count();
}

void PlatformCapabilities::learned(std::string_view platform, const std::vector<std::string>& after_login) {
  unsigned bits = 0;
  for (const auto& capability : after_login) {
    if (iequals(capability, "IMAP4rev2")) bits |= kImap4rev2;
    if (iequals(capability, "LITERAL+")) bits |= kLiteralPlus;
    if (iequals(capability, "ENABLE")) bits |= kEnable;
    if (iequals(capability, "IDLE")) bits |= kIdle;
    if (iequals(capability, "ID")) bits |= kId;
  }
  const std::lock_guard lock(mutex_);
  const auto known = known_.find(platform);
  if (known == known_.end() || known->second == bits) return;  // removed meanwhile, or nothing new
  known->second = static_cast<std::uint8_t>(bits);
  count();
}

void PlatformCapabilities::count() {
  unsigned common = kAllEarly;
  for (const auto& [name, bits] : known_) common &= bits;
  common_.store(static_cast<std::uint8_t>(common), std::memory_order_relaxed);
}

}  // namespace relais::imap
