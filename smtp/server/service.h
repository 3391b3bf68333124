// What all sessions of one service share.
#pragma once

#include "base/metrics.h"
#include "net/address.h"
#include "smtp/server/options.h"
#include "smtp/server/routing.h"

#include <memory>
#include <string>
#include <vector>

namespace relais::smtp {

/// How the three services differ. Everything else is the same.
struct Policy {
  bool lmtp = false;           ///< LHLO, a reply per recipient
  bool auth = false;           ///< AUTH is offered
  bool require_auth = false;   ///< before MAIL
  bool rate_limits = true;
};
Policy policy_of(Service service) noexcept;

/// Metrics of one service. References into the registry.
struct ServiceMetrics {
  explicit ServiceMetrics(std::string_view service);
  metrics::Gauge& sessions;
  metrics::Counter& connections;
  metrics::Counter& messages;
  metrics::Counter& octets;
  metrics::Counter& recipients;
  metrics::Counter& rejected_temporary;
  metrics::Counter& rejected_permanent;
  metrics::Counter& auth_succeeded;
  metrics::Counter& auth_failed;
  metrics::Histogram& delivery;
};

/// Constant but for the metrics; used by the sessions of all loops.
struct ServiceContext {
  ServiceContext(Options chosen, Platform what, std::shared_ptr<const net::TlsContext> tls_context);
  const Options options;
  const Platform platform;
  const Policy policy;
  const std::shared_ptr<const net::TlsContext> tls;
  const std::vector<net::Network> relay_from;  ///< of the options; what is no network is left out
  Routing routing;
  ServiceMetrics metrics;
};

}  // namespace relais::smtp
