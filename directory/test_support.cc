// A directory for tests.
#include "directory/test_support.h"

#include "base/check.h"
#include "base/encode.h"
#include "base/random.h"

#include <filesystem>

namespace relais::directory {

TestFolder::TestFolder() : path_((std::filesystem::temp_directory_path() / ("relais-directory-" + to_hex(random_octets(8)))).string()) {
  std::filesystem::create_directories(path_);
}

TestFolder::~TestFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

TestDirectory::TestDirectory(LmdbDirectoryOptions o) : options(std::move(o)), workers_(std::make_unique<net::WorkerPool>(2, 1'000)) {
  if (options.path.empty()) options.path = folder_.path() + "/directory";
  if (options.cost.argon2_kib == PasswordCost{}.argon2_kib) options.cost = kTestCost;
  loops_.start();
  reopen();
}

TestDirectory::~TestDirectory() {
  workers_.reset();
  directory_.reset();
}

void TestDirectory::reopen() {
  directory_.reset();
  auto opened = open_lmdb_directory(*workers_, options);
  RELAIS_CHECK(opened.has_value());
  directory_ = std::move(*opened);
}

}  // namespace relais::directory
