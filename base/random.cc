// Random octets and ids.
#include "base/random.h"

#include "base/check.h"

#include <array>
#include <cerrno>

#include <sys/random.h>

namespace relais {

void random_octets(std::span<unsigned char> out) noexcept {
  while (!out.empty()) {
    const auto got = ::getrandom(out.data(), out.size(), 0);
    if (got < 0) {
      RELAIS_CHECK(errno == EINTR);
      continue;
    }
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

std::string random_octets(std::size_t n) {
  std::string out(n, '\0');
  random_octets(std::span(reinterpret_cast<unsigned char*>(out.data()), out.size()));
  return out;
}

std::string random_id(std::size_t n) {
  static constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
  constexpr unsigned kFair = 256 - 256 % kAlphabet.size();  // octets above it would favour the first letters
  // The kernel's answer is used octet by octet over several calls: a system call per id would cost more than the id.
  struct Pool {
    std::array<unsigned char, 256> octets;
    std::size_t used = octets.size();
  };
  thread_local Pool pool;
  std::string out;
  out.reserve(n);
  while (out.size() < n) {
    if (pool.used == pool.octets.size()) {
      random_octets(pool.octets);
      pool.used = 0;
    }
    const auto octet = pool.octets[pool.used++];
    if (octet < kFair) out += kAlphabet[octet % kAlphabet.size()];
  }
  return out;
}

}  // namespace relais
