// The skip list of committed rows.
#include "storage/engine/mem_table.h"

#include <cstring>
#include <new>

namespace relais::storage {
namespace {

constexpr std::size_t kFirstBlock = 64 * 1024;

}  // namespace

MemTable::MemTable() : arena_(kFirstBlock), head_(make({}, 0, kMaxHeight)) {}

void MemTable::clear() {
  arena_.release();
  head_ = make({}, 0, kMaxHeight);
  height_.store(1, std::memory_order_relaxed);
  octets_.store(0, std::memory_order_relaxed);
}

MemTable::Node* MemTable::make(std::string_view key, Version version, int height) {
  void* place = arena_.allocate(sizeof(Node) + sizeof(std::atomic<Node*>) * static_cast<std::size_t>(height - 1), alignof(Node));
  auto* node = new (place) Node{.key = key, .value = nullptr, .value_size = 0, .version = version, .next = {}};
  for (int i = 0; i < height; ++i) new (&node->next[i]) std::atomic<Node*>(nullptr);
  return node;
}

/// Keys ascend; of one key the newest version comes first.
bool MemTable::below(const Node& node, std::string_view key, Version version) noexcept {
  const int order = node.key.compare(key);
  return order != 0 ? order < 0 : node.version > version;
}

MemTable::Node* MemTable::first_not_below(std::string_view key, Version version, Node** before) const noexcept {
  Node* at = head_;
  for (int level = height_.load(std::memory_order_relaxed) - 1;; --level) {
    Node* next = at->next[level].load(std::memory_order_acquire);
    while (next != nullptr && below(*next, key, version)) {
      at = next;
      next = at->next[level].load(std::memory_order_acquire);
    }
    if (before != nullptr) before[level] = at;
    if (level == 0) return next;
  }
}

int MemTable::random_height() noexcept {
  int height = 1;
  while (height < kMaxHeight) {
    random_ ^= random_ << 13;
    random_ ^= random_ >> 17;
    random_ ^= random_ << 5;
    if ((random_ & 3) != 0) break;
    ++height;
  }
  return height;
}

void MemTable::add(std::string_view key, Version version, std::optional<std::string_view> value) {
  if (value) return add(key, version, *value, {});
  insert(key, version, nullptr, 0);
}

void MemTable::add(std::string_view key, Version version, std::string_view value, std::string_view tail) {
  const std::size_t size = value.size() + tail.size();
  char* kept = allocate(size + 1);  // at least one octet: nullptr means erased
  if (!value.empty()) std::memcpy(kept, value.data(), value.size());
  if (!tail.empty()) std::memcpy(kept + value.size(), tail.data(), tail.size());
  octets_.fetch_add(size, std::memory_order_relaxed);
  insert(key, version, kept, size);
}

void MemTable::insert(std::string_view key, Version version, const char* value, std::size_t value_size) {
  Node* before[kMaxHeight];
  Node* same = first_not_below(key, version, before);
  if (same != nullptr && same->version == version && same->key == key) {  // of one group, which no other thread reads yet
    same->value = value;
    same->value_size = value_size;
    return;
  }
  char* kept = allocate(key.size() + 1);
  if (!key.empty()) std::memcpy(kept, key.data(), key.size());
  const int height = random_height();
  const int old_height = height_.load(std::memory_order_relaxed);
  for (int i = old_height; i < height; ++i) before[i] = head_;
  Node* node = make({kept, key.size()}, version, height);
  node->value = value;
  node->value_size = value_size;
  octets_.fetch_add(sizeof(Node) + key.size(), std::memory_order_relaxed);
  for (int i = 0; i < height; ++i) {  // from the bottom up: a reader that finds it higher up finds it below too
    node->next[i].store(before[i]->next[i].load(std::memory_order_relaxed), std::memory_order_relaxed);
    before[i]->next[i].store(node, std::memory_order_release);
  }
  if (height > old_height) height_.store(height, std::memory_order_release);
}

MemTable::Found MemTable::find(std::string_view key, Version at) const noexcept {
  const Node* node = first_not_below(key, at, nullptr);
  if (node == nullptr || node->key != key) return {};
  Found found{.there = true, .value = std::nullopt};
  if (node->value != nullptr) found.value = std::string_view(node->value, node->value_size);
  return found;
}

// ---- Cursor

/// Skips rows that are too new.
void MemTable::Cursor::settle() noexcept {
  while (node_ != nullptr && node_->version > at_) node_ = node_->next[0].load(std::memory_order_acquire);
}

void MemTable::Cursor::seek(std::string_view key) noexcept {
  node_ = table_->first_not_below(key, kNewest, nullptr);
  settle();
}

void MemTable::Cursor::seek_before(std::string_view key) noexcept {
  Node* before[kMaxHeight];
  while (true) {
    table_->first_not_below(key, kNewest, before);
    const Node* last = before[0];
    if (last == table_->head_) {
      node_ = nullptr;
      return;
    }
    // That is the key's oldest row; its newest visible one stands for the key.
    const std::string_view found = last->key;
    node_ = table_->first_not_below(found, at_, nullptr);
    if (node_ != nullptr && node_->key == found) return;
    key = found;  // all its rows are too new
  }
}

void MemTable::Cursor::next() noexcept {
  const std::string_view passed = node_->key;
  do node_ = node_->next[0].load(std::memory_order_acquire);
  while (node_ != nullptr && node_->key == passed);
  settle();
}

std::string_view MemTable::Cursor::key() const noexcept { return node_->key; }

std::optional<std::string_view> MemTable::Cursor::value() const noexcept {
  if (node_->value == nullptr) return std::nullopt;
  return std::string_view(node_->value, node_->value_size);
}

}  // namespace relais::storage
