// Cancelling a task from inside the tree, from outside, and with the standard library's stop tokens.
#pragma once

#include <spdkio/runtime/group.hpp>
#include <spdkio/runtime/stop.hpp>

#include <coroutine>
#include <memory>
#include <optional>
#include <stop_token>
#include <utility>

namespace spdkio {

namespace detail {

class StopTokenAwaiter {
 public:
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle) noexcept {
    if (auto* promise = promise_of(handle)) state_ = promise->stop_state();
    return false;
  }
  StopToken await_resume() const noexcept { return StopToken{state_}; }

 private:
  StopState* state_ = nullptr;
};

/// Carries the request of a std::stop_token, made on any OS thread, to a StopState on its Thread.
class StopBridge {
 public:
  StopBridge() = default;
  StopBridge(const StopBridge&) = delete;
  ~StopBridge() { disconnect(); }
  void connect(std::stop_token token, StopState& target);
  void disconnect() noexcept;

 private:
  struct Link;
  struct OnStop {
    std::shared_ptr<Link> link;
    void operator()() const noexcept;
  };
  std::shared_ptr<Link> link_;
  std::optional<std::stop_callback<OnStop>> callback_;
};

template <class T>
class WithStopAwaiter final : GroupBase {
 public:
  WithStopAwaiter(std::stop_token token, Child<T> child) : GroupBase("with_stop_token"), token_(std::move(token)) {
    slot_.child = std::move(child);
  }
  WithStopAwaiter(WithStopAwaiter&& other) noexcept
      : GroupBase("with_stop_token"), token_(std::move(other.token_)), slot_(std::move(other.slot_)) {}

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle) {
    begin(promise_of(handle), handle, 1);
    show(slot_.child.promise());
    bridge_.connect(token_, stop());
    slot_.start(*this, stop());
    return end_of_starts();
  }
  T await_resume() {
    bridge_.disconnect();
    if constexpr (std::is_void_v<T>) {
      slot_.take();
    } else {
      return slot_.take();
    }
  }

 private:
  std::coroutine_handle<> member_done(Member&, const std::exception_ptr*) noexcept override { return one_done(false); }
  std::stop_token token_;
  Slot<T> slot_;
  StopBridge bridge_;
};

}  // namespace detail

/// `co_await stop_token()`: the token of the task that awaits it, for loops that want to look. Never suspends.
inline detail::StopTokenAwaiter stop_token() noexcept { return {}; }

/// Awaits `awaitable` under a std::stop_token as well: a request on it, from any OS thread, stops what is inside. The
/// library's own stop states are used below, because they cost nothing per operation.
template <Awaitable A>
[[nodiscard]] auto with_stop_token(std::stop_token token, A awaitable) {
  return detail::WithStopAwaiter<AwaitResult<A>>{std::move(token), detail::make_child(std::move(awaitable))};
}

}  // namespace spdkio
