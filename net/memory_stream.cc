// Streams without sockets, and the loop that plays a script.
#include "net/memory_stream.h"

#include "net/loop_impl.h"
#include "net/wait_slot.h"

#include <boost/asio/co_spawn.hpp>

#include <algorithm>
#include <exception>

namespace relais::net {
namespace {

std::unexpected<Error> ended() { return fail(Fault::closed, "connection closed"); }
std::unexpected<Error> broken() { return fail(Fault::closed, "connection lost", "", "the script breaks here"); }

class ScriptedStream final : public Stream {
 public:
  /// @param self set to this stream while it lives, where not null
  explicit ScriptedStream(Script& script, ScriptedStream** self = nullptr) : script_(script), self_(self) {
    if (self_ != nullptr) *self_ = this;
  }
  ~ScriptedStream() override {
    if (self_ != nullptr) *self_ = nullptr;
    close();
  }

  Result<std::size_t> try_read(std::span<char> into) override {
    if (closed_) return ended();
    const auto left = script_.to_server.size() - read_;
    if (left == 0 && !ends()) return 0;
    if (breaks()) return broken();
    if (left == 0) return ended();
    const auto n = script_.to_server.copy(into.data(), std::min({into.size(), script_.chunk, left}), read_);
    read_ += n;
    return n;
  }

  Result<std::size_t> try_write(std::span<const std::string_view> pieces) override {
    if (closed_) return ended();
    if (breaks()) return broken();
    std::size_t taken = 0;
    for (const auto piece : pieces) {
      const auto n = std::min(piece.size(), script_.chunk - taken);
      script_.from_server.append(piece.substr(0, n));
      taken += n;
    }
    return taken;
  }

  // The peer does what peers do then: it says the rest of its script, and closes.
  void finish_writing() override {
    finished_ = true;
    wake();
  }

  asio::awaitable<Wake> wait_readable() override {
    return reader_.wait([this]() -> std::optional<Wake> {
      if (closed_) return Wake::cancelled;
      return idle() ? std::nullopt : std::optional(Wake::ready);
    });
  }
  asio::awaitable<Wake> wait_writable() override {
    return writer_.wait([this]() -> std::optional<Wake> { return closed_ ? Wake::cancelled : Wake::ready; });
  }
  void cancel_wait() override {
    reader_.post(Wake::cancelled);
    writer_.post(Wake::cancelled);
  }
  void close() override {
    closed_ = true;
    cancel_wait();
  }

  /// The script has grown.
  void wake() {
    if (!idle()) reader_.post(Wake::ready);
  }
  /// A read is waiting for what the script does not have.
  bool waits() const noexcept { return reader_.waiting() && idle(); }

 private:
  bool ends() const noexcept { return script_.end || finished_; }
  bool idle() const noexcept { return read_ == script_.to_server.size() && !ends(); }
  bool breaks() noexcept { return script_.ops++ >= script_.fail_at; }

  Script& script_;
  ScriptedStream** self_;
  std::size_t read_ = 0;
  WaitSlot reader_;
  WaitSlot writer_;
  bool finished_ = false;
  bool closed_ = false;
};

/// One direction of a memory_pair.
struct Pipe {
  explicit Pipe(std::size_t most) : capacity(most) {}
  const std::size_t capacity;
  std::string octets;
  bool closed = false;  ///< by either end
  WaitSlot reader;
  WaitSlot writer;
};

class PipeStream final : public Stream {
 public:
  PipeStream(std::shared_ptr<Pipe> in, std::shared_ptr<Pipe> out) : in_(std::move(in)), out_(std::move(out)) {}
  ~PipeStream() override { close(); }

  Result<std::size_t> try_read(std::span<char> into) override {
    if (closed_) return ended();
    const auto n = in_->octets.copy(into.data(), into.size());
    if (n == 0) return in_->closed ? Result<std::size_t>(ended()) : Result<std::size_t>(0);
    in_->octets.erase(0, n);
    in_->writer.post(Wake::ready);
    return n;
  }

  Result<std::size_t> try_write(std::span<const std::string_view> pieces) override {
    if (closed_ || out_->closed) return ended();
    std::size_t taken = 0;
    for (const auto piece : pieces) {
      const auto n = std::min(piece.size(), out_->capacity - out_->octets.size());
      out_->octets.append(piece.substr(0, n));
      taken += n;
    }
    if (taken > 0) out_->reader.post(Wake::ready);
    return taken;
  }

  void finish_writing() override {
    out_->closed = true;
    out_->reader.post(Wake::ready);
  }

  asio::awaitable<Wake> wait_readable() override {
    return in_->reader.wait([this, in = in_.get()]() -> std::optional<Wake> {
      if (closed_) return Wake::cancelled;
      return in->octets.empty() && !in->closed ? std::nullopt : std::optional(Wake::ready);
    });
  }
  asio::awaitable<Wake> wait_writable() override {
    return out_->writer.wait([this, out = out_.get()]() -> std::optional<Wake> {
      if (closed_) return Wake::cancelled;
      return out->octets.size() == out->capacity && !out->closed ? std::nullopt : std::optional(Wake::ready);
    });
  }
  void cancel_wait() override {
    in_->reader.post(Wake::cancelled);
    out_->writer.post(Wake::cancelled);
  }
  void close() override {
    if (std::exchange(closed_, true)) return;
    cancel_wait();
    for (auto* pipe : {in_.get(), out_.get()}) {
      pipe->closed = true;
      pipe->reader.post(Wake::ready);
      pipe->writer.post(Wake::ready);
    }
  }

 private:
  std::shared_ptr<Pipe> in_;
  std::shared_ptr<Pipe> out_;
  bool closed_ = false;
};

}  // namespace

std::unique_ptr<Stream> scripted_stream(Script& script) { return std::make_unique<ScriptedStream>(script); }

std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> memory_pair(std::size_t capacity) {
  auto there = std::make_shared<Pipe>(capacity);
  auto back = std::make_shared<Pipe>(capacity);
  return {std::make_unique<PipeStream>(back, there), std::make_unique<PipeStream>(there, back)};
}

std::size_t play(Script& script, const SessionStarter& session, Endpoints endpoints) {
  Loop loop;
  auto connection = std::make_unique<Connection>(loop, scripted_stream(script), std::move(endpoints));
  std::exception_ptr thrown;
  asio::co_spawn(loop.context(), session(std::move(connection)), [&](std::exception_ptr error) {
    thrown = error;
    loop.stop();
  });
  loop.run();
  if (thrown) std::rethrow_exception(thrown);
  return script.ops;
}

struct ScriptedSession::State {
  Script script;
  ScriptedStream* stream = nullptr;  ///< null once the session has dropped its connection
  std::size_t taken = 0;
  bool ended = false;
  std::exception_ptr thrown;
};

ScriptedSession::ScriptedSession(const SessionStarter& session, std::size_t chunk, Endpoints endpoints)
    : state_(std::make_unique<State>()) {
  state_->script.chunk = chunk;
  state_->script.end = false;
  auto stream = std::make_unique<ScriptedStream>(state_->script, &state_->stream);
  auto connection = std::make_unique<Connection>(loop_, std::move(stream), std::move(endpoints));
  asio::co_spawn(loop_.context(), session(std::move(connection)), [state = state_.get()](std::exception_ptr thrown) {
    state->thrown = thrown;
    state->ended = true;
  });
}

ScriptedSession::~ScriptedSession() {
  // The session goes first: it uses the script, and it is still waiting where the test did not end it.
  state_->script.end = true;
  if (!state_->ended) loop_.impl().force_close();
  while (!state_->ended) loop_.step(true);
}

bool ScriptedSession::ended() const noexcept { return state_->ended; }

std::string ScriptedSession::taken() {
  if (state_->thrown) std::rethrow_exception(std::exchange(state_->thrown, nullptr));
  auto out = state_->script.from_server.substr(state_->taken);
  state_->taken = state_->script.from_server.size();
  return out;
}

std::string ScriptedSession::run() {
  // step also runs what other coroutines and threads have posted; the session rests when nothing is left and it waits for input, or
  // pauses.
  while (!state_->ended) {
    if (loop_.step(false)) continue;
    if (state_->stream != nullptr && (state_->stream->waits() || loop_.impl().pauses > 0)) break;
    loop_.step(true);
  }
  return taken();
}

std::string ScriptedSession::send(std::string_view octets) {
  state_->script.to_server.append(octets);
  if (state_->stream != nullptr) state_->stream->wake();
  return run();
}

std::string ScriptedSession::close() {
  state_->script.end = true;
  if (state_->stream != nullptr) state_->stream->wake();
  return run();
}

std::string ScriptedSession::run_until(std::string_view text) {
  while (!state_->ended && std::string_view(state_->script.from_server).substr(state_->taken).find(text) == std::string_view::npos)
    loop_.step(true);
  return run();
}

}  // namespace relais::net
