// The errors that engines answer with, in one place so that codes and texts agree (storage/engine.h).
#pragma once

#include "base/result.h"
#include "storage/engine.h"

#include <string_view>

namespace relais::storage {

/// Fault::temporary STORAGE_FULL: nothing was written.
Error storage_full(std::string_view detail);
/// Fault::temporary READ_ONLY: no writes until the engine is opened again.
Error read_only(std::string_view detail);
/// Fault::temporary READ_ONLY: the engine is closing or closed.
Error closing();
/// Fault::refused NONEXISTENT.
Error no_blob(BlobId blob);
/// Fault::corrupt.
Error damaged(std::string_view detail);
/// Fault::temporary: an operation on a file failed. @param what  "open index/data.mdb"  @param error  an errno
Error disk_error(std::string_view what, int error);

}  // namespace relais::storage
