// Committed rows that are not in the index yet: a sorted table in memory that one thread writes and any number read.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory_resource>
#include <optional>
#include <string_view>

namespace relais::storage {

/// Orders groups of changes; the n-th group is version n.
using Version = std::uint64_t;
inline constexpr Version kNewest = ~Version{0};

/// A skip list of (key, version) → value or erasure. Rows are only ever added, so readers need no lock: what they have found stays where it
/// is until the table is destroyed. Threads: add() and clear() one; the others any, at the same time as add().
class MemTable {
  struct Node;

 public:
  MemTable();
  MemTable(const MemTable&) = delete;
  MemTable& operator=(const MemTable&) = delete;

  /// @param version  not below that of any row added before; of two rows with one key and version the later one stands
  /// @param value    nullopt: erased
  void add(std::string_view key, Version version, std::optional<std::string_view> value);
  /// As add(), for a value of two parts: octets and what follows them.
  void add(std::string_view key, Version version, std::string_view value, std::string_view tail);

  /// The key's newest row that is no newer than `at`: not there, erased, or a value.
  struct Found {
    bool there = false;
    std::optional<std::string_view> value;
  };
  Found find(std::string_view key, Version at) const noexcept;

  bool empty() const noexcept { return head_->next[0].load(std::memory_order_acquire) == nullptr; }
  /// Octets of memory that keys and values take.
  std::size_t octets() const noexcept { return octets_.load(std::memory_order_relaxed); }
  /// Forgets everything. No reader may be left.
  void clear();

  /// Walks the keys in ascending order, each with its newest row no newer than a version.
  class Cursor {
   public:
    Cursor(const MemTable& table, Version at) noexcept : table_(&table), at_(at) {}
    /// The first key not below `key`.
    void seek(std::string_view key) noexcept;
    /// The last key below `key`; invalid where there is none.
    void seek_before(std::string_view key) noexcept;
    void next() noexcept;
    bool valid() const noexcept { return node_ != nullptr; }
    std::string_view key() const noexcept;
    std::optional<std::string_view> value() const noexcept;

   private:
    void settle() noexcept;
    const MemTable* table_;
    Version at_;
    const Node* node_ = nullptr;
  };

 private:
  static constexpr int kMaxHeight = 12;
  /// Allocated with as many `next` as it is high.
  struct Node {
    std::string_view key;
    const char* value;  // nullptr: erased
    std::size_t value_size;
    Version version;
    std::atomic<Node*> next[1];
  };

  Node* make(std::string_view key, Version version, int height);
  void insert(std::string_view key, Version version, const char* value, std::size_t value_size);
  /// @param before  filled with the last node in front, on every level
  Node* first_not_below(std::string_view key, Version version, Node** before) const noexcept;
  int random_height() noexcept;
  char* allocate(std::size_t octets) { return static_cast<char*>(arena_.allocate(octets, 1)); }
  static bool below(const Node& node, std::string_view key, Version version) noexcept;

  std::pmr::monotonic_buffer_resource arena_;
  Node* head_;
  std::atomic<int> height_{1};
  std::atomic<std::size_t> octets_{0};
  std::uint32_t random_ = 0x9E3779B9;
};

}  // namespace relais::storage
