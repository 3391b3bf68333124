// Counters, gauges and histograms of the process, and their Prometheus text form.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace relais::metrics {

using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

/// Threads: any; relaxed atomics.
class Counter {
 public:
  void add(std::uint64_t n = 1) noexcept { value_.fetch_add(n, std::memory_order_relaxed); }
  std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

class Gauge {
 public:
  void add(std::int64_t n) noexcept { value_.fetch_add(n, std::memory_order_relaxed); }
  void set(std::int64_t n) noexcept { value_.store(n, std::memory_order_relaxed); }
  std::int64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

/// Durations in powers of two from 16 µs to 134 s.
class Histogram {
 public:
  static constexpr std::size_t kBuckets = 24;
  void observe(std::chrono::nanoseconds duration) noexcept;
  std::uint64_t bucket(std::size_t i) const noexcept { return buckets_[i].load(std::memory_order_relaxed); }
  std::uint64_t sum_ns() const noexcept { return sum_ns_.load(std::memory_order_relaxed); }

 private:
  std::array<std::atomic<std::uint64_t>, kBuckets + 1> buckets_{};
  std::atomic<std::uint64_t> sum_ns_{0};
};

/// Finds or makes the metric; the reference lives as long as the process, so keep it. Threads: any (takes a lock: not per message).
/// @param name  relais_<folder>_<what>_<unit|total>   @param help one sentence   @param labels few values each, never per account
Counter& counter(std::string_view name, std::string_view help, Labels labels = {});
Gauge& gauge(std::string_view name, std::string_view help, Labels labels = {});
Histogram& histogram(std::string_view name, std::string_view help, Labels labels = {});

/// Prometheus text exposition format 0.0.4 of everything registered.
std::string render();

}  // namespace relais::metrics
