// ThreadPump: how an SPDK thread is polled, and when it need not be.
#pragma once

#include <spdkio/base/unique_fd.hpp>

#include <spdk/thread.h>

#include <cstdint>

namespace spdkio::spdk {

/// Whether SPDK's interrupt mode is on; it can be switched on between two starts of SPDK's thread library, and never
/// off again in the process.
enum class InterruptUse : std::uint8_t {
  off,        ///< it is not on
  forgone,    ///< it is on since an earlier start in this process; this one polls
  according,  ///< an SPDK thread sleeps while its modules say when they want to be polled
};

/// In interrupt mode every SPDK thread has one descriptor for all that its modules wait for. Modules that only poll
/// (malloc, null, uring, virtio and others) keep it readable all the time: a Thread that slept on it would spin. Such a
/// thread is found out by that, and goes on in poll mode, looked at once a millisecond when idle as without interrupt
/// mode; from time to time it is tried again.
class ThreadPump {
 public:
  enum class Return : bool { never, tried };
  /// `back`: whether a thread in poll mode may go back to interrupt mode. SPDK must not switch one that has paused a
  /// timed poller in poll mode: it would take the poller out of a tree in which it is not.
  /// Where there is no descriptor left it naps for ever.
  ThreadPump(spdk_thread* thread, InterruptUse use, Return back) noexcept;

  /// On the OS thread that acts for `thread`, as that thread or as none. `waited_for`: somebody waits for requests, so
  /// that in poll mode it counts as busy. True: it had something to do.
  bool poll(bool waited_for) noexcept;
  /// A sleeper has to look once a millisecond, and must not wait for `fd`. May change with each `poll`.
  bool naps() const noexcept { return state_ != State::sleeps; }
  /// Readable when the thread is to be polled, while it does not nap; valid for the life of the pump, also after the
  /// end of the thread. Negative when it naps for ever.
  int fd() const noexcept { return fd_.get(); }

 private:
  enum class State : std::uint8_t {
    polled,    ///< SPDK's poll mode
    settling,  ///< interrupt mode, but messages sent in the moment of the switch may have told nobody
    sleeps,    ///< interrupt mode
  };
  void set_interrupt_mode(bool on) noexcept;

  spdk_thread* const thread_;
  const bool returns_;
  UniqueFd fd_;
  State state_ = State::polled;
  std::uint32_t rounds_with_events_ = 0;  // one after the other
  std::uint64_t since_ = 0;               // in poll mode: idle; while it settles: the switch
  std::uint64_t patience_ns_;             // how long it is idle in poll mode before it is tried again
};

}  // namespace spdkio::spdk
