// For tests of engines: a folder that goes away, a worker pool, and coroutines run to their end.
#pragma once

#include "net/worker_pool.h"
#include "storage/blob.h"
#include "storage/engine.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace relais::storage::testing {

namespace asio = boost::asio;

/// A new folder, removed with all that is in it.
class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "relais-engine-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = name;
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

/// The calling thread's loop. It lives until the program ends, since a worker that has just resumed a coroutine may still be in its post().
inline asio::io_context& thread_loop() {
  static std::mutex mutex;
  static std::vector<std::unique_ptr<asio::io_context>> loops;
  thread_local asio::io_context& mine = [] -> asio::io_context& {
    const std::lock_guard lock(mutex);
    return *loops.emplace_back(std::make_unique<asio::io_context>());
  }();
  mine.restart();
  return mine;
}

/// Runs a task on the thread's loop until it is done.
template <class T>
Result<T> wait(net::Task<T> task) {
  auto& loop = thread_loop();
  std::optional<Result<T>> result;
  asio::co_spawn(loop, std::move(task), [&result](std::exception_ptr thrown, Result<T> r) {
    if (thrown) std::rethrow_exception(thrown);
    result.emplace(std::move(r));
  });
  loop.run();
  return std::move(result).value();
}

inline std::shared_ptr<const EncodedBlob> blob(std::string_view octets) { return make_blob({}, encode_chunks(octets)); }

/// Text that compresses like mail, different for every seed.
inline std::string text(std::size_t size, unsigned seed) {
  std::string out;
  for (unsigned i = seed * 7919 + 1; out.size() < size; i = i * 1664525 + 1013904223) out += "word" + std::to_string(i % 4001) + (i % 11 == 0 ? "\r\n" : " ");
  out.resize(size);
  return out;
}

/// A body that puts one value under a key, with the ids of its blobs behind it.
inline TxnBody put(std::string key, std::string value) {
  return [key = std::move(key), value = std::move(value)](Txn& txn, std::span<const BlobId>) { return txn.put(key, value); };
}

/// Stores blobs and gives back their ids.
inline Result<std::vector<BlobId>> store(Engine& engine, AccountId account, std::vector<std::shared_ptr<const EncodedBlob>> blobs) {
  std::vector<BlobId> stored;
  const auto body = [&stored](Txn& txn, std::span<const BlobId> ids) -> Result<void> {
    stored.assign(ids.begin(), ids.end());
    for (const auto id : ids) RELAIS_TRY_VOID(txn.put("blob" + std::to_string(static_cast<std::uint64_t>(id)), "1"));
    return {};
  };
  RELAIS_TRY_VOID(wait(engine.transact(account, std::move(blobs), body)));
  return stored;
}

inline Result<std::string> load(const Engine& engine, BlobId id, std::uint64_t offset = 0, std::uint64_t length = UINT64_MAX) {
  std::string out;
  RELAIS_TRY_VOID(wait(engine.read_blob(id, offset, length, out)));
  return out;
}

inline std::optional<std::string> get(const Engine& engine, AccountId account, std::string_view key) {
  const auto snapshot = engine.read(account).value();
  const auto value = snapshot->get(key).value();
  return value ? std::optional<std::string>(*value) : std::nullopt;
}

/// "key=value key=value" of a range.
inline std::string list(const Reader& reader, std::string_view first, std::string_view last) {
  std::string out;
  const auto walked = reader.range(first, last, [&out](const KeyValue& entry) {
    out.append(out.empty() ? "" : " ").append(entry.key).append("=").append(entry.value);
    return true;
  });
  return walked ? out : "error: " + walked.error().detail;
}

}  // namespace relais::storage::testing
