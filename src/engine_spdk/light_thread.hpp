// LightThread: the SPDK thread that one of our Threads polls.
#pragma once

#include <spdkio/base/unique_fd.hpp>
#include <spdkio/runtime/mailbox.hpp>
#include <spdkio/runtime/poller.hpp>

#include <spdk/thread.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine_spdk/thread_pump.hpp"

namespace spdkio::spdk {

/// One for each Thread that uses SPDK, made when it first does: both mean "who owns this channel, and where do its
/// completions arrive", so that a completion finds its coroutine without a hop.
class LightThread {
 public:
  /// Throws Error when SPDK has no room for another.
  LightThread(const std::string& name, std::shared_ptr<spdkio::detail::Mailbox> home, InterruptUse use);
  LightThread(const LightThread&) = delete;
  LightThread& operator=(const LightThread&) = delete;

  spdk_thread* get() const noexcept { return thread_; }
  const std::shared_ptr<spdkio::detail::Mailbox>& home() const noexcept { return home_; }
  /// Before each call of SPDK's outside of its own poll: one OS thread polls many Threads.
  void make_current() const noexcept {
    if (::spdk_get_thread() != thread_) ::spdk_set_thread(thread_);
  }

  /// Requests that SPDK has. While there are any the Thread does not sleep, unless SPDK's interrupt mode tells of
  /// completions.
  void began() noexcept { ++in_flight_; }
  void ended() noexcept { --in_flight_; }

  /// On the Thread.
  PollResult poll() noexcept;
  const ThreadPump& pump() const noexcept { return pump_; }
  /// On the Thread, which ends: nobody polls it from now on, and `end` is to be called.
  void abandon() noexcept { abandoned_.store(true, std::memory_order_release); }
  bool abandoned() const noexcept { return abandoned_.load(std::memory_order_acquire); }
  /// On any OS thread, once the Thread polls it no more or at the end of the engine: runs it to its end.
  void end() noexcept;
  bool has_ended() const noexcept { return ended_.load(std::memory_order_acquire); }

 private:
  static spdk_thread* create(const std::string& name);

  spdk_thread* const thread_;
  ThreadPump pump_;
  std::shared_ptr<spdkio::detail::Mailbox> home_;
  std::uint64_t in_flight_ = 0;
  std::atomic_flag polled_ = ATOMIC_FLAG_INIT;
  std::atomic<bool> abandoned_{false};
  std::atomic<bool> ended_{false};
};

/// All of them, and the SPDK threads that SPDK makes for itself, which the control Thread polls. One per engine.
class LightThreads {
 public:
  /// Starts SPDK's thread library, in interrupt mode if so wanted; the first LightThread becomes SPDK's app thread, and
  /// its Thread the control Thread. Throws Error.
  explicit LightThreads(bool interrupt_mode);
  LightThreads(const LightThreads&) = delete;
  LightThreads& operator=(const LightThreads&) = delete;
  /// Ends those that are left, the app thread last, and the library.
  ~LightThreads();

  /// Of the current Thread. Throws Error.
  LightThread& here();
  InterruptUse interrupt_use() const noexcept { return use_; }
  /// On the control Thread, again and again: polls SPDK's own threads, and ends those whose Thread has ended. It is
  /// woken when there is a new one of either.
  PollResult poll_foreign() noexcept;
  /// Of those threads, as of a ThreadPump.
  bool foreign_naps() const noexcept;
  int foreign_fd() const noexcept { return foreign_fd_.get(); }

 private:
  /// A thread that SPDK made.
  struct Foreign {
    spdk_thread* thread;
    std::unique_ptr<ThreadPump> pump;
    bool watched = false;  // in foreign_fd_
  };
  static int on_operation(spdk_thread* thread, spdk_thread_op operation) noexcept;
  static InterruptUse enable(bool interrupt_mode);
  void adopt() noexcept;
  void watch(Foreign& foreign) noexcept;
  void end_orphans() noexcept;

  /// Has the control Thread look for new threads of SPDK's and for ended ones of ours. Any OS thread rings it, also
  /// after the end of the engine.
  struct Bell {
    std::atomic<bool> rung{false};
    UniqueFd fd;  ///< with interrupt mode
    void ring() noexcept;
    bool heard() noexcept;
  };

  const InterruptUse use_;
  std::shared_ptr<Bell> bell_;
  UniqueFd foreign_fd_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<LightThread>> threads_;  // the first is the app thread
  std::vector<spdk_thread*> adopted_;                  // made by SPDK since the last round
  std::vector<Foreign> foreign_;                       // control Thread only
};

}  // namespace spdkio::spdk
