// What the tests of directory/ and of the sessions above it share: a directory in a folder of its own, cheap to hash for.
#pragma once

#include "directory/lmdb_directory.h"
#include "net/loop.h"
#include "net/test_support.h"

#include <memory>
#include <string>

namespace relais::directory {

/// Passwords that cost next to nothing.
inline constexpr PasswordCost kTestCost{64, 1, 4'096};

/// A folder under the temporary one, removed at the end.
class TestFolder {
 public:
  TestFolder();
  ~TestFolder();
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

/// A directory with loops and workers. Calls wait for their result on the calling thread.
class TestDirectory {
 public:
  explicit TestDirectory(LmdbDirectoryOptions options = {});
  ~TestDirectory();

  MovingDirectory& operator*() noexcept { return *directory_; }
  MovingDirectory* operator->() noexcept { return directory_.get(); }
  /// Places an account, whatever the epoch; makes the legacy platform that it names where there is none. False where that fails.
  bool place(const std::string& address, Placement placement);
  /// Waits for a coroutine of the directory: `d.run(d->find("a@b"))`.
  template <class T>
  T run(net::asio::awaitable<T> call) {
    return net::run_on(loops_.at(0), std::move(call));
  }
  net::LoopPool& loops() noexcept { return loops_; }
  net::WorkerPool& workers() noexcept { return *workers_; }
  /// Closes and opens again.
  void reopen();
  LmdbDirectoryOptions options;

 private:
  TestFolder folder_;
  net::LoopPool loops_{2};
  std::unique_ptr<net::WorkerPool> workers_;
  std::unique_ptr<MovingDirectory> directory_;
};

}  // namespace relais::directory
