// zstd and LZ4 behind one door.
#include "storage/compression.h"

#include "base/check.h"

#include <lz4.h>
#include <zstd.h>

#include <memory>
#include <new>

namespace relais::storage {
namespace {

constexpr int kZstdLevel = 3;  // who chooses zstd wants the room

struct FreeCompressor {
  void operator()(ZSTD_CCtx* c) const noexcept { ZSTD_freeCCtx(c); }
};
struct FreeDecompressor {
  void operator()(ZSTD_DCtx* d) const noexcept { ZSTD_freeDCtx(d); }
};

// A context costs 100 µs to set up, so each thread keeps one.
ZSTD_CCtx* compressor() {
  thread_local const std::unique_ptr<ZSTD_CCtx, FreeCompressor> context = [] {
    std::unique_ptr<ZSTD_CCtx, FreeCompressor> c(ZSTD_createCCtx());
    if (!c) throw std::bad_alloc();
    RELAIS_CHECK(ZSTD_isError(ZSTD_CCtx_setParameter(c.get(), ZSTD_c_compressionLevel, kZstdLevel)) == 0);
    return c;
  }();
  return context.get();
}

ZSTD_DCtx* decompressor() {
  thread_local const std::unique_ptr<ZSTD_DCtx, FreeDecompressor> context = [] {
    std::unique_ptr<ZSTD_DCtx, FreeDecompressor> d(ZSTD_createDCtx());
    if (!d) throw std::bad_alloc();
    return d;
  }();
  return context.get();
}

bool compress_zstd(std::string_view raw, std::string& into) {
  into.resize(ZSTD_compressBound(raw.size()));
  const std::size_t size = ZSTD_compress2(compressor(), into.data(), into.size(), raw.data(), raw.size());
  if (ZSTD_isError(size) != 0) return false;
  into.resize(size);
  return true;
}

bool compress_lz4(std::string_view raw, std::string& into) {
  if (raw.size() > LZ4_MAX_INPUT_SIZE) return false;
  thread_local const auto state = std::make_unique<char[]>(static_cast<std::size_t>(LZ4_sizeofState()));
  into.resize(static_cast<std::size_t>(LZ4_compressBound(static_cast<int>(raw.size()))));
  const int size =
      LZ4_compress_fast_extState(state.get(), raw.data(), into.data(), static_cast<int>(raw.size()), static_cast<int>(into.size()), 1);
  if (size <= 0) return false;
  into.resize(static_cast<std::size_t>(size));
  return true;
}

}  // namespace

std::optional<Compression> compression_named(std::string_view name) noexcept {
  if (name == "none") return Compression::none;
  if (name == "zstd") return Compression::zstd;
  if (name == "lz4") return Compression::lz4;
  return std::nullopt;
}

bool compress(Compression compression, std::string_view raw, std::string& into) {
  switch (compression) {
    case Compression::none: return false;
    case Compression::zstd: return compress_zstd(raw, into);
    case Compression::lz4: return compress_lz4(raw, into);
  }
  return false;
}

bool decompress(Compression compression, std::string_view stored, char* to, std::size_t size) {
  switch (compression) {
    case Compression::none: return false;
    case Compression::zstd: {
      const std::size_t done = ZSTD_decompressDCtx(decompressor(), to, size, stored.data(), stored.size());
      return ZSTD_isError(done) == 0 && done == size;
    }
    case Compression::lz4: {
      if (stored.size() > LZ4_MAX_INPUT_SIZE || size > LZ4_MAX_INPUT_SIZE) return false;
      return LZ4_decompress_safe(stored.data(), to, static_cast<int>(stored.size()), static_cast<int>(size)) == static_cast<int>(size);
    }
  }
  return false;
}

}  // namespace relais::storage
