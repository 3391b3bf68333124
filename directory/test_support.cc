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

bool TestDirectory::place(const std::string& address, Placement placement) {
  const auto account = run(directory_->find(address));
  if (!account || !*account) return false;
  if (!placement.legacy.empty() && !run(directory_->platform(placement.legacy)).value()) {
    LegacyPlatform platform{.name = placement.legacy, .imap = {.host = "imap.old.test", .port = 143}};
    if (!run(directory_->set_platform(std::move(platform)))) return false;
  }
  return run(directory_->change_placement((*account)->number, (*account)->placement.epoch, std::move(placement))).has_value();
}

void TestDirectory::reopen() {
  directory_.reset();
  auto opened = open_lmdb_directory(*workers_, options);
  RELAIS_CHECK(opened.has_value());
  directory_ = std::move(*opened);
}

}  // namespace relais::directory
