// Waiting for time to pass, and giving others a turn.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/runtime/promise.hpp>

#include <chrono>
#include <coroutine>

namespace spdkio {

namespace detail {

class SleepAwaiter : private TimerNode, private ReadyNode, private StopNode {
 public:
  explicit SleepAwaiter(std::chrono::nanoseconds duration) noexcept : StopNode(on_stop), duration_(duration) {}
  SleepAwaiter(const SleepAwaiter& other) noexcept : StopNode(on_stop), duration_(other.duration_) {}
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle) {
    return suspend(handle, promise_of(handle));
  }
  void await_resume() const {
    if (!stopped_) return;
    throw Error(std::errc::operation_canceled, "stopped while sleeping")
        .with_operation("sleep_for")
        .with_outcome(Outcome::never_submitted);
  }

 private:
  bool suspend(std::coroutine_handle<> handle, PromiseBase* promise);
  static void on_fire(TimerNode& node) noexcept;
  static void on_stop(StopNode& node) noexcept;

  std::chrono::nanoseconds duration_;
  ThreadCore* core_ = nullptr;
  bool stopped_ = false;
};

class YieldAwaiter : private ReadyNode {
 public:
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> waiting) {
    auto* const promise = promise_of(waiting);
    set_waiting(waiting, promise);
    if (promise != nullptr) promise->set_waiting_on("yield");
    ThreadCore::require_current("yield").make_ready_next_round(*this);
    return true;
  }
  void await_resume() const noexcept {}
};

}  // namespace detail

/// Suspends for at least `duration`; when that is zero or negative, for a turn as `yield` does. A stop request ends it
/// early with Error(operation_canceled), also one made before.
inline detail::SleepAwaiter sleep_for(std::chrono::nanoseconds duration) noexcept {
  return detail::SleepAwaiter{duration};
}

/// Lets everything else on this Thread run first: what is ready, messages, timers and pollers. A stop request has no
/// effect on it.
inline detail::YieldAwaiter yield() noexcept { return {}; }

}  // namespace spdkio
