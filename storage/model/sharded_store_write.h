// How ShardedStore runs transaction bodies; for its own files only.
#pragma once

#include "storage/model/sharded_store.h"

#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

namespace relais::storage {
namespace model_detail {

/// What a body writes its result to. Shared with the engine: the waiting coroutine may be gone before the body runs.
template <class T>
struct Outcome {
  std::optional<T> value;
  void set(T v) { value.emplace(std::move(v)); }
  Result<T> take() { return std::move(*value); }
};
template <>
struct Outcome<void> {
  Result<void> take() { return {}; }
};

template <class T>
Result<void> keep(Result<T> result, Outcome<T>& outcome) {
  if (!result) return std::unexpected(std::move(result).error());
  if constexpr (!std::is_void_v<T>) outcome.set(std::move(*result));
  return {};
}

}  // namespace model_detail

template <class F>
auto ShardedStore::write(AccountRef account, Blobs blobs, F f, model::Door door)
    -> net::Task<typename std::invoke_result_t<F&, model::Work&, std::span<const BlobId>>::value_type> {
  using T = typename std::invoke_result_t<F&, model::Work&, std::span<const BlobId>>::value_type;
  struct Call {
    F f;
    model::Context context;
    model_detail::Outcome<T> outcome;
  };
  RELAIS_CO_TRY(auto* engine, engine_of(account));
  auto call = std::make_shared<Call>(Call{std::move(f), context(account, door), {}});
  TxnBody body = [call](Txn& txn, std::span<const BlobId> ids) -> Result<void> {
    model::Work work(txn, call->context);
    RELAIS_TRY_VOID(work.load());
    RELAIS_TRY_VOID(model_detail::keep(call->f(work, ids), call->outcome));
    return work.save();
  };
  RELAIS_CO_TRY_VOID(co_await engine->transact(account.account, std::move(blobs), std::move(body)));
  co_return call->outcome.take();
}

template <class F>
auto ShardedStore::write_raw(AccountRef account, F f) -> net::Task<typename std::invoke_result_t<F&, Txn&>::value_type> {
  using T = typename std::invoke_result_t<F&, Txn&>::value_type;
  struct Call {
    F f;
    model_detail::Outcome<T> outcome;
  };
  RELAIS_CO_TRY(auto* engine, engine_of(account));
  auto call = std::make_shared<Call>(Call{std::move(f), {}});
  TxnBody body = [call](Txn& txn, std::span<const BlobId>) -> Result<void> { return model_detail::keep(call->f(txn), call->outcome); };
  RELAIS_CO_TRY_VOID(co_await engine->transact(account.account, {}, std::move(body)));
  co_return call->outcome.take();
}

}  // namespace relais::storage
