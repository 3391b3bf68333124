// Names and construction of errors.
#include "base/result.h"

namespace relais {

std::string_view to_string(Fault fault) noexcept {
  switch (fault) {
    case Fault::syntax: return "syntax";
    case Fault::refused: return "refused";
    case Fault::temporary: return "temporary";
    case Fault::corrupt: return "corrupt";
    case Fault::closed: return "closed";
  }
  return "unknown";
}

std::unexpected<Error> fail(Fault fault, std::string_view text, std::string_view code, std::string_view detail) {
  return std::unexpected<Error>(Error{fault, std::string(code), std::string(text), std::string(detail)});
}

}  // namespace relais
