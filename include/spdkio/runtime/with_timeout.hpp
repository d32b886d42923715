// Deadlines for anything that can be awaited.
#pragma once

#include <spdkio/runtime/group.hpp>

#include <chrono>
#include <utility>

namespace spdkio {

namespace detail {

/// Throws Error(timed_out) with the outcome of what was cancelled; other failures as they are.
[[noreturn]] void rethrow_as_timeout(const std::exception_ptr& failure, std::chrono::nanoseconds limit);

template <class T>
class TimeoutAwaiter final : GroupBase, TimerNode {
 public:
  TimeoutAwaiter(std::chrono::nanoseconds limit, Child<T> child) : GroupBase("with_timeout"), limit_(limit) {
    slot_.child = std::move(child);
  }
  TimeoutAwaiter(TimeoutAwaiter&& other) noexcept
      : GroupBase("with_timeout"), slot_(std::move(other.slot_)), limit_(other.limit_) {}

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle) {
    core_ = &ThreadCore::require_current("with_timeout");
    begin(promise_of(handle), handle, 1);
    show(slot_.child.promise());
    fire = on_fire;
    if (limit_ <= limit_.zero()) {
      expired_ = true;
      stop().request_stop();
    } else {
      core_->add_timer(*this, limit_);
    }
    slot_.start(*this, stop());
    return end_of_starts();
  }
  T await_resume() {
    if (expired_ && slot_.failure() != nullptr) rethrow_as_timeout(*slot_.failure(), limit_);
    if constexpr (std::is_void_v<T>) {
      slot_.take();
    } else {
      return slot_.take();
    }
  }

 private:
  static void on_fire(TimerNode& node) noexcept {
    auto& self = static_cast<TimeoutAwaiter&>(node);
    self.expired_ = true;
    self.stop().request_stop();
  }
  std::coroutine_handle<> member_done(Member&, const std::exception_ptr*) noexcept override {
    if (queued()) core_->cancel_timer(*this);
    return one_done(false);
  }
  Slot<T> slot_;
  std::chrono::nanoseconds limit_;
  ThreadCore* core_ = nullptr;
  bool expired_ = false;
};

}  // namespace detail

/// Awaits `awaitable` for at most `limit`. At the deadline it is asked to stop and still awaited to its real end: when
/// it ends because of that, Error(timed_out) is thrown, whose `outcome()` says whether a device operation was never
/// submitted, aborted, or may have executed; when it succeeds after all, its value is given.
template <Awaitable A>
[[nodiscard]] auto with_timeout(std::chrono::nanoseconds limit, A awaitable) {
  return detail::TimeoutAwaiter<AwaitResult<A>>{limit, detail::make_child(std::move(awaitable))};
}

}  // namespace spdkio
