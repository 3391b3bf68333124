// The errors that engines answer with.
#include "storage/engine/errors.h"

#include <system_error>

namespace relais::storage {

Error storage_full(std::string_view detail) {
  return {.fault = Fault::temporary, .code = "STORAGE_FULL", .text = "storage is full, try again later", .detail = std::string(detail)};
}

Error read_only(std::string_view detail) {
  return {.fault = Fault::temporary, .code = "READ_ONLY", .text = "storage takes no changes now, try again later", .detail = std::string(detail)};
}

Error closing() {
  return {.fault = Fault::temporary, .code = "READ_ONLY", .text = "storage is closing, try again later", .detail = "engine is closed"};
}

Error no_blob(BlobId blob) {
  return {.fault = Fault::refused, .code = "NONEXISTENT", .text = "message is gone", .detail = "no blob " + std::to_string(static_cast<std::uint64_t>(blob))};
}

Error damaged(std::string_view detail) {
  return {.fault = Fault::corrupt, .code = {}, .text = "stored data is damaged", .detail = std::string(detail)};
}

Error disk_error(std::string_view what, int error) {
  return {.fault = Fault::temporary,
          .code = {},
          .text = "storage cannot be reached, try again later",
          .detail = std::string(what) + ": " + std::generic_category().message(error)};
}

}  // namespace relais::storage
