// StallWatcher: an OS thread that looks whether Threads on reactors are held up.
#pragma once

#include <spdkio/engine/engine.hpp>
#include <spdkio/runtime/mailbox.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <stop_token>
#include <thread>

namespace spdkio::app {

/// Looks twice in every `limit` at the round that each Thread is in. One that lasts longer is marked: the Thread then
/// counts and names the piece of work once it has ended, which costs it one load per piece of work and no clock. A
/// piece of work that does not end at all is named by the watcher itself.
class StallWatcher {
 public:
  /// Watches until it is destroyed; that waits for a look that is under way. `reactors` stays until then.
  StallWatcher(engine::ReactorService& reactors, std::chrono::nanoseconds limit);
  StallWatcher(const StallWatcher&) = delete;
  StallWatcher& operator=(const StallWatcher&) = delete;

  std::chrono::nanoseconds limit() const noexcept { return limit_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Seen {
    std::uint64_t round = 0;
    Clock::time_point since;
    bool marked = false;
    bool told = false;
  };

  void run(const std::stop_token& stop);
  void look();
  void look_at(const ThreadHandle& thread, Seen& seen, Clock::time_point now) const;

  engine::ReactorService& reactors_;
  const std::chrono::nanoseconds limit_;
  std::map<ThreadId, Seen> seen_;  // of the watching OS thread
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread watching_;
};

}  // namespace spdkio::app
