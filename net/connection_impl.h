// What a Connection consists of. Internal to net/.
#pragma once

#include "net/connection.h"
#include "net/loop_impl.h"
#include "net/read_buffer.h"

namespace relais::net {

struct Connection::Impl final : LoopMember {
  Impl(Loop& loop, std::unique_ptr<Stream> transport);

  void on_deadline() noexcept override;
  void on_shutdown() noexcept override;
  void on_force_close() noexcept override { close(); }
  void close() noexcept;
  void signal() noexcept;

  /// To be called right before and right after every wait of the stream.
  void begin_wait(Deadline deadline);
  void end_wait() noexcept { loop_.disarm(*this); }
  /// Why a wait may not go on; nullopt where it may.
  std::optional<Error> ended(bool for_command) const;
  /// True now and then, when a peer is so quick that nothing here ever waits: the others want their turn.
  bool turn_over() noexcept { return ++unwaited_ % kTurn == 0; }
  asio::awaitable<void> yield();
  Loop& loop() noexcept { return loop_.self; }
  Poller& poller() noexcept { return loop_.poller; }

  // Coroutines keep the Impl alive; the Connection may be gone when they resume.
  static Task<void> pause(std::shared_ptr<Impl> self, std::chrono::milliseconds duration);
  static Task<Woken> fill(std::shared_ptr<Impl> self, Deadline deadline, Awaiting awaiting);
  static Task<void> send(std::shared_ptr<Impl> self, std::span<const std::string_view> pieces, Deadline deadline);
  /// @param peer  nullopt: server side
  static Task<void> handshake(std::shared_ptr<Impl> self, const TlsContext& context, std::optional<TlsPeer> peer, Deadline deadline);
  /// Waits until the stream can be written to.
  static Task<void> wait_writable(std::shared_ptr<Impl> self, Deadline deadline);

  static constexpr std::uint16_t kTurn = 16;  ///< operations without a wait

  struct Pausing;
  void end_pause() noexcept {
    if (pausing != nullptr) pausing->cancel();
  }

  std::unique_ptr<Stream> stream;
  asio::steady_timer* pausing = nullptr;  ///< of the pause() that is going on
  std::string out;
  ReadBuffer in;
  std::uint16_t unwaited_ = 0;
  bool signalled = false;
  bool timed_out = false;
  bool closed = false;
  bool waits_for_input = false;
  bool waits_for_command = false;
};

}  // namespace relais::net
