// Names of algorithms and states of signing keys.
#include "directory/dkim_key.h"

namespace relais::directory {

std::string_view to_string(DkimKey::Algorithm algorithm) noexcept {
  return algorithm == DkimKey::Algorithm::ed25519_sha256 ? "ed25519-sha256" : "rsa-sha256";
}

std::string_view to_string(DkimKey::State state) noexcept {
  switch (state) {
    case DkimKey::State::pending: return "pending";
    case DkimKey::State::active: return "active";
    case DkimKey::State::retired: return "retired";
  }
  return "retired";
}

}  // namespace relais::directory
