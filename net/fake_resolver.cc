// Scripted DNS: a table, aliases, and the faults that a test asks for.
#include "net/fake_resolver.h"

#include "base/ascii.h"
#include "base/check.h"
#include "base/encode.h"
#include "net/dns_records.h"

#include <algorithm>
#include <array>

namespace relais::net {
namespace {

constexpr int kMaxAliases = 11;  // what unbound follows

std::string normal(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  return to_lower(name);
}

DnsType type_named(std::string_view text) {
  for (const auto type : {DnsType::a, DnsType::ns, DnsType::cname, DnsType::ptr, DnsType::mx, DnsType::txt, DnsType::aaaa, DnsType::tlsa})
    if (iequals(to_string(type), text)) return type;
  const bool known_type = false;
  RELAIS_CHECK(known_type);
  return DnsType::a;
}

// The next piece up to white space.
std::string_view take_word(std::string_view& rest) {
  rest = trim(rest);
  const auto end = std::min(rest.find_first_of(" \t"), rest.size());
  const auto word = rest.substr(0, end);
  rest = trim(rest.substr(end));
  return word;
}

std::uint64_t take_number(std::string_view& rest) {
  const auto number = parse_u64(take_word(rest));
  RELAIS_CHECK(number.has_value());
  return *number;
}

std::string make_rdata(DnsType type, std::string_view data) {
  switch (type) {
    case DnsType::a: return make_a(data).value();
    case DnsType::aaaa: return make_aaaa(data).value();
    case DnsType::ns:
    case DnsType::cname:
    case DnsType::ptr: return make_name(data).value();
    case DnsType::mx: {
      const auto preference = static_cast<std::uint16_t>(take_number(data));
      return make_mx({preference, normal(data)}).value();
    }
    case DnsType::txt:
      if (data.size() >= 2 && data.front() == '"' && data.back() == '"') data = data.substr(1, data.size() - 2);
      return make_txt(data);
    case DnsType::tlsa: {
      std::array<std::uint8_t, 3> numbers{};
      for (auto& number : numbers) number = static_cast<std::uint8_t>(take_number(data));
      return make_tlsa({numbers[0], numbers[1], numbers[2], from_hex(data).value()});
    }
  }
  return {};
}

// Up to a ';' that is not inside quotes.
std::string_view without_comment(std::string_view line) {
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"') quoted = !quoted;
    if (line[i] == ';' && !quoted) return line.substr(0, i);
  }
  return line;
}

}  // namespace

FakeResolver& FakeResolver::zone(std::string_view text) {
  const std::lock_guard lock(mutex_);
  for (const auto whole : split(text, '\n')) {
    auto line = trim(without_comment(whole));
    if (line.empty()) continue;
    const auto name = normal(take_word(line));
    const auto type = type_named(take_word(line));
    records_[{name, type}].push_back(make_rdata(type, line));
  }
  return *this;
}

FakeResolver& FakeResolver::secure(std::string_view zone) {
  const std::lock_guard lock(mutex_);
  secure_.insert(normal(zone));
  return *this;
}

FakeResolver& FakeResolver::fault(std::string_view name, DnsType type, DnsAnswer::Status status, std::string_view detail) {
  const std::lock_guard lock(mutex_);
  auto& answer = faults_[{normal(name), type}];
  answer = DnsAnswer{};
  answer.status = status;
  if (answer.unknown()) answer.detail = detail;
  return *this;
}

FakeResolver& FakeResolver::repair(std::string_view name, DnsType type) {
  const std::lock_guard lock(mutex_);
  faults_.erase({normal(name), type});
  return *this;
}

FakeResolver& FakeResolver::remove(std::string_view name, DnsType type) {
  const std::lock_guard lock(mutex_);
  records_.erase({normal(name), type});
  return *this;
}

FakeResolver& FakeResolver::ttl(std::string_view name, DnsType type, std::chrono::seconds ttl) {
  const std::lock_guard lock(mutex_);
  ttls_[{normal(name), type}] = ttl;
  return *this;
}

FakeResolver& FakeResolver::raw(std::string_view name, DnsType type, std::string rdata) {
  const std::lock_guard lock(mutex_);
  records_[{normal(name), type}].push_back(std::move(rdata));
  return *this;
}

bool FakeResolver::is_secure(std::string_view name) const {
  for (;;) {
    if (secure_.contains(name)) return true;
    if (name.empty()) return false;
    const auto dot = name.find('.');
    name = dot == std::string_view::npos ? std::string_view{} : name.substr(dot + 1);
  }
}

bool FakeResolver::exists(const std::string& name) const {
  const auto below = "." + name;
  return std::ranges::any_of(records_, [&](const auto& entry) { return entry.first.first == name || entry.first.first.ends_with(below); });
}

DnsAnswer FakeResolver::look_up(const std::string& name, DnsType type) const {
  DnsAnswer answer;
  answer.ttl = kTtl;
  answer.secure = true;
  answer.canonical_name = name;
  for (int aliases = 0;; ++aliases) {
    const auto& at = answer.canonical_name;
    if (const auto fault = faults_.find({at, type}); fault != faults_.end()) {
      auto faulty = fault->second;
      faulty.canonical_name = at;
      faulty.ttl = kTtl;
      faulty.secure = faulty.absent() && answer.secure && is_secure(at);
      return faulty;
    }
    answer.secure = answer.secure && is_secure(at);
    if (const auto ttl = ttls_.find({at, type}); ttl != ttls_.end()) answer.ttl = std::min(answer.ttl, ttl->second);
    if (const auto found = records_.find({at, type}); found != records_.end()) {
      answer.status = DnsAnswer::Status::found;
      answer.records = found->second;
      return answer;
    }
    const auto alias = records_.find({at, DnsType::cname});
    if (alias == records_.end()) {
      answer.status = exists(at) ? DnsAnswer::Status::no_data : DnsAnswer::Status::no_name;
      return answer;
    }
    if (aliases == kMaxAliases) {
      answer = DnsAnswer{};
      answer.canonical_name = name;
      answer.detail = "too many aliases";
      return answer;
    }
    answer.canonical_name = parse_name(alias->second.front()).value();
  }
}

DnsAnswer FakeResolver::answer(std::string_view name, DnsType type) {
  const auto key = normal(name);
  const std::lock_guard lock(mutex_);
  questions_.push_back(key + " " + std::string(to_string(type)));
  return look_up(key, type);
}

asio::awaitable<DnsAnswer> FakeResolver::query(std::string name, DnsType type) { co_return answer(name, type); }

std::vector<std::string> FakeResolver::take_questions() {
  const std::lock_guard lock(mutex_);
  return std::exchange(questions_, {});
}

}  // namespace relais::net
