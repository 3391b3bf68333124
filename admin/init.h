// `relais init`: makes a platform that `relais serve` can start at once.
#pragma once

#include "base/result.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>

namespace relais::admin {

struct InitOptions {
  std::string dir;
  std::string domain;            ///< first mail domain; empty: none yet
  std::string listen;            ///< numeric address; empty: 0.0.0.0, with a base port 127.0.0.1
  std::uint32_t base_port = 0;   ///< 0: the usual ports
  /// 0: one per processor, 2 to 16. Each commits for itself: more of them than processors only makes the groups smaller.
  std::uint32_t shards = 0;
};

/// Makes DIR with a configuration, a self-signed certificate and empty data.
/// @return {"dir", "config", "text"}: text is for people
/// Errors: Fault::refused where DIR exists and is not empty, or the domain is not one; Fault::temporary where files cannot be written.
Result<nlohmann::json> make_platform(const InitOptions& options);

}  // namespace relais::admin
