// The registry of metrics and its text form.
#include "base/metrics.h"

#include "base/check.h"

#include <bit>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <variant>

namespace relais::metrics {
namespace {

using Metric = std::variant<std::unique_ptr<Counter>, std::unique_ptr<Gauge>, std::unique_ptr<Histogram>>;

struct Family {
  std::string help;
  std::size_t kind = 0;  ///< index into Metric
  std::map<std::string, Metric> members;  ///< by labels as rendered: `a="1",b="2"`
};

struct Registry {
  std::mutex mutex;
  std::map<std::string, Family, std::less<>> families;  // guarded by mutex
};

// Never destroyed: threads may count until the very end.
Registry& registry() {
  static auto* const instance = new Registry;
  return *instance;
}

void append_escaped(std::string& out, std::string_view text, bool quotes) {
  for (const char c : text) {
    if (c == '\\')
      out += "\\\\";
    else if (c == '\n')
      out += "\\n";
    else if (c == '"' && quotes)
      out += "\\\"";
    else
      out += c;
  }
}

template <class T>
T& find(std::string_view name, std::string_view help, Labels labels) {
  std::string key;
  for (const auto& [label, value] : labels) {
    if (!key.empty()) key += ',';
    key.append(label).append("=\"");
    append_escaped(key, value, true);
    key += '"';
  }
  const Metric made = std::unique_ptr<T>();
  auto& all = registry();
  const std::lock_guard lock(all.mutex);
  auto at = all.families.find(name);
  if (at == all.families.end()) at = all.families.emplace(name, Family{std::string(help), made.index(), {}}).first;
  RELAIS_CHECK(at->second.kind == made.index());  // one name, one kind
  auto& member = at->second.members.try_emplace(std::move(key), std::unique_ptr<T>()).first->second;
  auto& pointer = std::get<std::unique_ptr<T>>(member);
  if (!pointer) pointer = std::make_unique<T>();
  return *pointer;
}

// The first bucket holds up to 16 µs.
constexpr std::uint64_t kFirstBucketNs = 16'000;

std::string seconds(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.9g", value);
  return text.data();
}

void append_line(std::string& out, std::string_view name, std::string_view suffix, std::string_view labels, std::string_view more,
                 std::string_view value) {
  out.append(name).append(suffix);
  if (!labels.empty() || !more.empty()) {
    out += '{';
    out += labels;
    if (!labels.empty() && !more.empty()) out += ',';
    out += more;
    out += '}';
  }
  out += ' ';
  out.append(value) += '\n';
}

void append_histogram(std::string& out, std::string_view name, std::string_view labels, const Histogram& histogram) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i <= Histogram::kBuckets; ++i) {
    sum += histogram.bucket(i);
    const auto limit = i == Histogram::kBuckets ? "+Inf" : seconds(static_cast<double>(kFirstBucketNs << i) / 1e9);
    append_line(out, name, "_bucket", labels, "le=\"" + limit + "\"", std::to_string(sum));
  }
  append_line(out, name, "_sum", labels, {}, seconds(static_cast<double>(histogram.sum_ns()) / 1e9));
  append_line(out, name, "_count", labels, {}, std::to_string(sum));
}

}  // namespace

void Histogram::observe(std::chrono::nanoseconds duration) noexcept {
  const auto ns = duration.count() > 0 ? static_cast<std::uint64_t>(duration.count()) : 0;
  // Smallest i with ns <= kFirstBucketNs << i.
  const auto units = ns == 0 ? 0 : (ns - 1) / kFirstBucketNs;
  const auto i = std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(units)), kBuckets);
  buckets_[i].fetch_add(1, std::memory_order_relaxed);
  sum_ns_.fetch_add(ns, std::memory_order_relaxed);
}

Counter& counter(std::string_view name, std::string_view help, Labels labels) { return find<Counter>(name, help, labels); }
Gauge& gauge(std::string_view name, std::string_view help, Labels labels) { return find<Gauge>(name, help, labels); }
Histogram& histogram(std::string_view name, std::string_view help, Labels labels) { return find<Histogram>(name, help, labels); }

std::string render() {
  static constexpr std::array<std::string_view, 3> kKinds{"counter", "gauge", "histogram"};
  std::string out;
  auto& all = registry();
  const std::lock_guard lock(all.mutex);
  for (const auto& [name, family] : all.families) {
    out.append("# HELP ").append(name) += ' ';
    append_escaped(out, family.help, false);
    out.append("\n# TYPE ").append(name).append(" ").append(kKinds[family.kind]) += '\n';
    for (const auto& [labels, metric] : family.members) {
      if (const auto* c = std::get_if<std::unique_ptr<Counter>>(&metric))
        append_line(out, name, {}, labels, {}, std::to_string((*c)->value()));
      else if (const auto* g = std::get_if<std::unique_ptr<Gauge>>(&metric))
        append_line(out, name, {}, labels, {}, std::to_string((*g)->value()));
      else
        append_histogram(out, name, labels, *std::get<std::unique_ptr<Histogram>>(metric));
    }
  }
  return out;
}

}  // namespace relais::metrics
