// For random tests of the mailbox model: stores whose commits fail on demand and that open again, and runs by seed.
#pragma once

#include "storage/engine/faults.h"
#include "storage/engine/memory_engine.h"
#include "storage/model/open_store.h"
#include "storage/model/sharded_store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace relais::storage::testing {

/// A store that can be made to fail and to open again.
class Harness {
 public:
  virtual ~Harness() = default;
  virtual ShardedStore& store() = 0;
  /// May make one of the next commits fail. @return true where it did arm something
  virtual bool arm(std::mt19937_64&) { return false; }
  /// After a failure, or at any time.
  virtual void reopen() = 0;
};

class MemoryHarness final : public Harness {
 public:
  explicit MemoryHarness(const Clock& clock) {
    auto engine = make_memory_engine();
    memory_ = engine.get();
    memory_->run_bodies_twice(true);
    std::vector<std::unique_ptr<Engine>> engines;
    engines.push_back(std::move(engine));
    store_ = std::make_unique<ShardedStore>(std::move(engines), nullptr, clock);
    store_->limit_groups(150);
  }
  ShardedStore& store() override { return *store_; }
  bool arm(std::mt19937_64& random) override {
    constexpr MemoryFault kFaults[] = {MemoryFault::full, MemoryFault::sync_failed, MemoryFault::lost_reply};
    memory_->arm(kFaults[random() % 3], 1);
    return true;
  }
  void reopen() override {
    memory_->arm(MemoryFault::none, 0);
    memory_->reopen();
    memory_->forget_cache(cold_ = !cold_);
  }

 private:
  MemoryEngine* memory_ = nullptr;
  std::unique_ptr<ShardedStore> store_;
  bool cold_ = false;
};

/// Fails the n-th operation from now.
class NthFault final : public FaultInjector {
 public:
  void arm(int error, int nth) {
    error_ = error;
    left_ = nth;
  }
  int fail_at(FaultPoint) override { return left_ > 0 && --left_ == 0 ? error_.load() : 0; }

 private:
  std::atomic<int> left_{0};
  std::atomic<int> error_{0};
};

class LmdbHarness final : public Harness {
 public:
  explicit LmdbHarness(const Clock& clock) : clock_(clock) {
    std::string name = ::testing::TempDir() + "relais-model-XXXXXX";
    path_ = mkdtemp(name.data());
    reopen();
  }
  ~LmdbHarness() override {
    store_.reset();
    std::filesystem::remove_all(path_);
  }
  ShardedStore& store() override { return *store_; }
  bool arm(std::mt19937_64& random) override {
    faults_->arm(random() % 2 == 0 ? EIO : ENOSPC, 1 + static_cast<int>(random() % 3));
    return true;
  }
  void reopen() override {
    faults_->arm(0, 0);
    store_.reset();
    StoreOptions options;
    options.path = path_;
    options.pool = &pool_;
    options.engine.map_size = 1ULL << 30;
    options.engine.segment_size = 4ULL << 20;
    options.engine.faults = faults_;
    options.clock = &clock_;
    auto opened = open_store(std::move(options));
    ASSERT_TRUE(opened) << opened.error().text << opened.error().detail;
    store_ = std::move(*opened);
    store_->limit_groups(300);
  }

 private:
  const Clock& clock_;
  std::filesystem::path path_;
  std::shared_ptr<NthFault> faults_ = std::make_shared<NthFault>();
  net::WorkerPool pool_{1, 100};
  std::unique_ptr<ShardedStore> store_;
};

// RELAIS_SEED=n runs one seed, RELAIS_STEPS=n so many operations.
inline std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// Runs Test(harness, clock, seed).run(steps) for some seeds, each on a harness of its own.
template <class H, class Test>
void run_seeds(unsigned seeds, unsigned steps) {
  auto seed = number_from("RELAIS_SEED", std::random_device{}());
  for (unsigned i = 0; i < seeds && !::testing::Test::HasFailure(); ++i, ++seed) {
    SCOPED_TRACE("RELAIS_SEED=" + std::to_string(seed));
    ManualClock clock;
    H harness(clock);
    Test(harness, clock, seed).run(static_cast<unsigned>(number_from("RELAIS_STEPS", steps)));
    if (::testing::Test::HasFailure()) std::cerr << "RELAIS_SEED=" << seed << "\n";
  }
}

}  // namespace relais::storage::testing
