// LightThread: the SPDK thread that one of our Threads polls.
#pragma once

#include <spdkio/runtime/mailbox.hpp>
#include <spdkio/runtime/poller.hpp>

#include <spdk/thread.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace spdkio::spdk {

/// One for each Thread that uses SPDK, made when it first does: both mean "who owns this channel, and where do its
/// completions arrive", so that a completion finds its coroutine without a hop.
class LightThread {
 public:
  /// Throws Error when SPDK has no room for another.
  LightThread(const std::string& name, std::shared_ptr<spdkio::detail::Mailbox> home);
  LightThread(const LightThread&) = delete;
  LightThread& operator=(const LightThread&) = delete;

  spdk_thread* get() const noexcept { return thread_; }
  const std::shared_ptr<spdkio::detail::Mailbox>& home() const noexcept { return home_; }
  /// Before each call of SPDK's outside of its own poll: one OS thread polls many Threads.
  void make_current() const noexcept {
    if (::spdk_get_thread() != thread_) ::spdk_set_thread(thread_);
  }

  /// Requests that SPDK has. While there are any the Thread does not sleep: nothing in the kernel tells of completions.
  void began() noexcept { ++in_flight_; }
  void ended() noexcept { --in_flight_; }

  /// On the Thread.
  PollResult poll() noexcept;
  /// On any OS thread, once the Thread polls it no more or at the end of the engine: runs it to its end.
  void end() noexcept;
  bool has_ended() const noexcept { return ended_.load(std::memory_order_acquire); }

 private:
  spdk_thread* thread_ = nullptr;
  std::shared_ptr<spdkio::detail::Mailbox> home_;
  std::uint64_t in_flight_ = 0;
  std::atomic_flag polled_ = ATOMIC_FLAG_INIT;
  std::atomic<bool> ended_{false};
};

/// All of them, and the SPDK threads that SPDK makes for itself, which the control Thread polls. One per engine.
class LightThreads {
 public:
  /// Starts SPDK's thread library; the first LightThread becomes SPDK's app thread. Throws Error.
  LightThreads();
  LightThreads(const LightThreads&) = delete;
  LightThreads& operator=(const LightThreads&) = delete;
  /// Ends those that are left, the app thread last, and the library.
  ~LightThreads();

  /// Of the current Thread. Throws Error.
  LightThread& here();
  /// On the control Thread, again and again.
  PollResult poll_foreign() noexcept;

 private:
  static int on_operation(spdk_thread* thread, spdk_thread_op operation) noexcept;
  void end_orphans() noexcept;

  std::mutex mutex_;
  std::vector<std::shared_ptr<LightThread>> threads_;  // the first is the app thread
  std::vector<spdk_thread*> adopted_;                  // made by SPDK since the last round
  std::vector<spdk_thread*> foreign_;                  // control Thread only
  std::uint64_t last_look_ = 0;
};

}  // namespace spdkio::spdk
