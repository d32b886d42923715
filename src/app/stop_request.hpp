// StopRequest: the application was asked to stop, and who waits for that on which Thread.
#pragma once

#include <spdkio/runtime/mailbox.hpp>
#include <spdkio/runtime/task.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

namespace spdkio::app {

/// Shared by the application and who waits, so that neither has to end first.
class StopRequest {
 public:
  /// Any Thread. Ends with operation_canceled when the awaiting task is asked to stop.
  static Task<> wait(std::shared_ptr<StopRequest> request);
  /// Any OS thread, not signal-safe: lets every waiter go on.
  void set();
  bool requested() const noexcept { return requested_.load(std::memory_order_acquire); }
  /// Whether something waits on that Thread.
  bool awaited_on(const detail::Mailbox& thread) const;

 private:
  class Awaiter;
  std::atomic<bool> requested_{false};
  mutable std::mutex mutex_;
  std::vector<Awaiter*> waiters_;
};

}  // namespace spdkio::app
