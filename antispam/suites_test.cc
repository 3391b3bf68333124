// Published DKIM and ARC test messages, where they are at hand.
#include "antispam/dkim_canonical.h"
#include "antispam/dkim_tags.h"
#include "antispam/signing_testing.h"
#include "base/ascii.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

namespace relais::antispam {
namespace {

namespace fs = std::filesystem;
using testing::Bench;

/// The folder of the suites; empty, and said so, where it is not there.
fs::path suites() {
  const char* shared = std::getenv("RELAIS_SHARED");
  for (const auto& base : {fs::path(shared != nullptr ? shared : ""), fs::path(RELAIS_SOURCE_DIR) / ".." / "shared"}) {
    if (!base.empty() && fs::is_directory(base / "suites" / "dkim")) return base / "suites" / "dkim";
  }
  std::cout << "the shared suites are not here: nothing was run against them\n";
  return {};
}

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// With CRLF line ends, whatever there were.
std::string with_crlf(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r')) out += '\r';
    out += text[i];
  }
  return out;
}

TEST(Suites, Rfc8463) {
  const auto folder = suites();
  if (folder.empty()) return;
  Bench bench;
  for (const auto& [name, record] : nlohmann::json::parse(read(folder / "rfc8463" / "dns.json")).items())
    bench.dns.add(name, record.get<std::string>());
  EXPECT_EQ(bench.outcomes(with_crlf(read(folder / "rfc8463" / "signed.eml"))), "pass pass");
}

/// What the suite lets pass and we don't, on purpose: our outcomes, and the rule.
struct Declined {
  std::string_view file;
  std::string_view outcomes;
  std::string_view why;
};
constexpr Declined kDeclined[] = {
    {"corpus/mine_ietf01_3.txt", "neutral",
     "a draft's signature, without v=: RFC 6376 §3.5 requires it, §6.1.1 has such a signature ignored"},
    {"corpus/mine_ietf01_4.txt", "neutral", "the same"},
    {"corpus/multiple_2.txt", "neutral policy policy neutral", "its good signature is of SHA-1, the others are malformed: RFC 8301 §3.1"},
};

// Expectations of another verifier, from a time of weaker keys: what RFC 8301 refuses must not pass here, what is left must agree.
TEST(Suites, MailDkim) {
  const auto folder = suites();
  if (folder.empty()) return;
  const auto expected = nlohmann::json::parse(read(folder / "mail-dkim" / "expected.json"));
  const auto dns = nlohmann::json::parse(read(folder / "mail-dkim" / "dns.json"));
  std::size_t compared = 0;
  std::size_t refused = 0;
  std::size_t named = 0;
  for (const auto& one : expected) {
    if (one.at("domainkeys_only").get<bool>()) continue;
    Bench bench;
    for (const auto& [name, records] : dns.items()) {
      if (records.contains("txt") && records.at("txt").is_string()) bench.dns.add(to_lower(name), records.at("txt").get<std::string>());
    }
    const auto message = with_crlf(read(folder / "mail-dkim" / one.at("file").get<std::string>()));
    const auto outcomes = bench.outcomes(message, 1'300'000'000);
    const bool passes = outcomes.contains("pass");
    const auto file = one.at("file").get<std::string>();
    if (one.at("rfc8301_would_refuse").get<bool>()) {
      EXPECT_FALSE(passes) << file << ": " << outcomes;
      ++refused;
      continue;
    }
    if (const auto* declined = std::ranges::find(kDeclined, file, &Declined::file); declined != std::end(kDeclined)) {
      EXPECT_EQ(outcomes, declined->outcomes) << file << ": " << declined->why;
      ++named;
      continue;
    }
    ++compared;
    const bool should = one.at("expect").get<std::string>() == "pass";
    EXPECT_EQ(passes, should) << file << ": " << outcomes << ", expected " << one.at("expect") << " " << one.at("note");
  }
  EXPECT_EQ(named, std::size(kDeclined));
  std::cout << compared << " compared, " << refused << " with weak keys or hashes refused, " << named << " declined by name\n";
}

/// When a message was on its way: the latest t= of its DKIM and ARC fields, so that no signature is of the future and none has expired.
std::int64_t time_of(std::string_view message) {
  std::int64_t latest = 0;
  const HeaderFields fields(message.substr(0, message::header_end(message)));
  for (const auto& field : fields.all()) {
    const auto tags = TagList::parse(field.value);
    const auto time = tags ? parse_u64(tags->get("t")) : std::nullopt;
    if (time) latest = std::max(latest, static_cast<std::int64_t>(*time));
  }
  return latest;
}

/// mail-auth's files: "name record" lines, an empty line, the message.
void run_mail_auth(const fs::path& file) {
  Bench bench;
  const auto text = read(file);
  std::size_t at = 0;
  while (at < text.size() && text[at] != '\n') {
    const auto end = text.find('\n', at);
    const auto line = trim(std::string_view(text).substr(at, end - at));
    const auto space = line.find_first_of(" \t");
    if (space != std::string_view::npos) {
      auto name = to_lower(line.substr(0, space));
      if (name.ends_with('.')) name.pop_back();
      bench.dns.add(name, trim(line.substr(space)));
    }
    at = end + 1;
  }
  const auto message = with_crlf(std::string_view(text).substr(at + 1));
  const auto results = bench.verify(message, time_of(message));
  const auto chain = bench.chain(message, time_of(message));
  EXPECT_FALSE(results.empty() && chain.status == ArcChain::Status::none) << file;
  for (const auto& result : results) {
    const bool weak = result.outcome == DkimResult::Outcome::policy;
    // Its x= was a day after its t=: RFC 6376 §3.5 lets us refuse it, and libopendkim asks the machine's clock.
    const bool expired = file.filename() == "005.txt" && result.reason.contains("has expired");
    // The author's, of a message that a mailing list has added a footer to and signed anew: that is what the chain is for.
    const bool changed =
        file.parent_path().filename() == "arc" && result.selector == "velikisrpan22" && result.outcome == DkimResult::Outcome::fail;
    const bool elsewhere = result.reason.contains("there is no key");
    EXPECT_TRUE(weak || expired || changed || elsewhere || result.outcome == DkimResult::Outcome::pass)
        << file << ": " << to_string(result.outcome) << " " << result.reason;
  }
  if (chain.status != ArcChain::Status::none) EXPECT_EQ(chain.status, ArcChain::Status::pass) << file << ": " << chain.reason;
}

TEST(Suites, MailAuth) {
  const auto folder = suites();
  if (folder.empty()) return;
  for (const auto& sub : {folder / "mail-auth", folder / "mail-auth" / "arc"}) {
    for (const auto& file : fs::directory_iterator(sub)) {
      if (file.path().extension() == ".txt" && ascii_digit(file.path().filename().string().front())) run_mail_auth(file.path());
    }
  }
}

// The signatures that are in the files were made with keys that are not: here it matters that nothing passes without its key, and nothing
// breaks.
TEST(Suites, WithoutTheirKeysNothingPasses) {
  const auto folder = suites();
  if (folder.empty()) return;
  for (const auto& file : fs::recursive_directory_iterator(folder)) {
    if (!file.is_regular_file() || file.file_size() > 1'000'000) continue;
    Bench bench;
    const auto message = with_crlf(read(file.path()));
    EXPECT_FALSE(bench.outcomes(message).contains("pass")) << file.path();
    EXPECT_NE(bench.chain(message).status, ArcChain::Status::pass) << file.path();
  }
}

}  // namespace
}  // namespace relais::antispam
