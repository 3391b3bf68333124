// The thread that hashes what nobody waits for.
#include "directory/hash_upgrader.h"

#include "directory/digest.h"

#include <sys/resource.h>
#include <unistd.h>

namespace relais::directory {

constexpr int kNice = 10;  // a login that waits for its hash comes first

HashUpgrader::HashUpgrader(std::function<void(const HashUpgrade&)> work) : work_(std::move(work)), thread_([this] { run(); }) {}

HashUpgrader::~HashUpgrader() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (auto& waiting : queue_) wipe(waiting.password);
    queue_.clear();
  }
  wake_.notify_all();
  thread_.join();
}

void HashUpgrader::add(HashUpgrade upgrade) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || queue_.size() >= kMaxQueued) {
      wipe(upgrade.password);
      return;
    }
    queue_.push_back(std::move(upgrade));
  }
  wake_.notify_one();
}

void HashUpgrader::wait_idle() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return queue_.empty() && !busy_; });
}

void HashUpgrader::run() {
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice);
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) break;
    auto next = std::move(queue_.front());
    queue_.pop_front();
    busy_ = true;
    lock.unlock();
    work_(next);
    wipe(next.password);
    lock.lock();
    busy_ = false;
    if (queue_.empty()) idle_.notify_all();
  }
  idle_.notify_all();
}

}  // namespace relais::directory
