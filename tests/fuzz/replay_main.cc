// Runs a fuzz target over its seeds and simple alterations of them, so that every test run smokes what the fuzzer explores at length.
//
// usage: TARGET [FOLDER or FILE…]
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr std::size_t kMaxInput = 64 * 1024;  // octets: larger seeds are the fuzzer's own business
constexpr int kAlterations = 64;              // of each seed

std::size_t runs = 0;

void run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
  ++runs;
}

void replay(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string seed(std::istreambuf_iterator<char>(file), {});
  run(seed);
  if (seed.empty() || seed.size() > kMaxInput) return;
  std::mt19937 rng(static_cast<std::mt19937::result_type>(seed.size()));  // the same in every run: what fails can be looked at
  for (int i = 0; i < kAlterations; ++i) {
    auto altered = seed;
    const auto at = rng() % altered.size();
    switch (rng() % 4) {
      case 0: altered.resize(at); break;
      case 1: altered[at] = static_cast<char>(rng()); break;
      case 2: altered.erase(at, rng() % 8 + 1); break;
      default: altered.insert(at, altered.substr(rng() % altered.size(), rng() % 64)); break;
    }
    run(altered);
  }
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::filesystem::path path(argv[i]);
    if (std::filesystem::is_regular_file(path)) replay(path);
    if (!std::filesystem::is_directory(path)) continue;
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      if (entry.is_regular_file()) replay(entry.path());
    }
  }
  std::printf("%zu inputs\n", runs);
  return 0;
}
