// The table in memory against a plain map of versions, and under readers.
#include "storage/engine/mem_table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace relais::storage {
namespace {

using Model = std::map<std::string, std::map<Version, std::optional<std::string>>>;

/// The newest of a key's rows that is not newer than `at`.
const std::optional<std::string>* visible(const Model::mapped_type& rows, Version at) {
  auto row = rows.upper_bound(at);
  return row == rows.begin() ? nullptr : &std::prev(row)->second;
}

std::string show(const std::optional<std::string_view>& value) { return value ? std::string(*value) : "erased"; }

TEST(MemTable, EveryVersionIsSeenAsItWas) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  MemTable table;
  EXPECT_TRUE(table.empty());
  for (int round = 0; round < 3; ++round) {
    Model model;
    for (Version version = 1; version <= 200; ++version)
      for (unsigned i = random() % 5; i > 0; --i) {
        const auto key = std::to_string(random() % 40);
        if (random() % 4 == 0) {
          table.add(key, version, std::nullopt);
          model[key][version] = std::nullopt;
        } else {
          const auto value = std::to_string(version) + "." + std::to_string(i);
          table.add(key, version, value, "!");
          model[key][version] = value + "!";
        }
      }
    for (const Version at : {Version{0}, Version{1}, Version{50}, Version{199}, Version{200}, kNewest}) {
      std::string want;
      for (const auto& [key, rows] : model)
        if (const auto* row = visible(rows, at)) want += key + "=" + show(*row) + " ";
      std::string got;
      MemTable::Cursor cursor(table, at);
      for (cursor.seek(""); cursor.valid(); cursor.next()) got += std::string(cursor.key()) + "=" + show(cursor.value()) + " ";
      EXPECT_EQ(got, want) << at;
      for (int probe = 0; probe < 50; ++probe) {
        const auto key = std::to_string(probe);
        const auto rows = model.find(key);
        const auto* row = rows == model.end() ? nullptr : visible(rows->second, at);
        const auto found = table.find(key, at);
        EXPECT_EQ(found.there, row != nullptr);
        if (row != nullptr) EXPECT_EQ(show(found.value), show(*row));
        auto below = model.lower_bound(key);
        while (below != model.begin() && visible(std::prev(below)->second, at) == nullptr) --below;
        cursor.seek_before(key);
        EXPECT_EQ(cursor.valid() ? std::string(cursor.key()) : "none", below == model.begin() ? "none" : std::prev(below)->first) << key << ' ' << at;
      }
    }
    table.clear();
    EXPECT_TRUE(table.empty());
    EXPECT_EQ(table.octets(), 0U);
  }
}

TEST(MemTable, ReadersSeeWholeVersionsWhileOneThreadAdds) {
  MemTable table;
  std::atomic<Version> published{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i)
    readers.emplace_back([&] {
      Version at = 0;
      while (at < 2'000) {
        at = published.load();
        if (at == 0) continue;
        const auto want = std::to_string(at);
        for (const auto* key : {"a", "m", "z"}) EXPECT_EQ(show(table.find(key, at).value), want);
        std::size_t keys = 0;
        MemTable::Cursor cursor(table, at);
        for (cursor.seek("k"); cursor.valid() && cursor.key() < "l"; cursor.next()) ++keys;
        EXPECT_EQ(keys, at);
      }
    });
  for (Version version = 1; version <= 2'000; ++version) {
    for (const auto* key : {"a", "m", "z"}) table.add(key, version, std::to_string(version));
    table.add("k" + std::to_string(version * 7919 % 10'007), version, "");
    published.store(version);
  }
  for (auto& reader : readers) reader.join();
}

}  // namespace
}  // namespace relais::storage
