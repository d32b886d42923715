// Channel<T>: a bounded queue of values between tasks of one Thread.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/runtime/task.hpp>
#include <spdkio/runtime/wait_queue.hpp>

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

namespace spdkio {

/// Senders wait while it is full, receivers while it is empty; both in FIFO order. After `close` sends fail with EPIPE,
/// and receivers get what is left, then an empty optional. Belongs to one Thread; must outlive its waiters.
/// Stop requests end waits with Error(operation_canceled); the value of a stopped send is dropped.
template <class T>
class Channel {
 public:
  /// `capacity` is at least 1.
  explicit Channel(std::size_t capacity) : capacity_(capacity == 0 ? 1 : capacity) {}

  Task<> send(T value) {
    while (!closed_ && values_.size() >= capacity_) co_await wait_in(space_);
    if (closed_) throw Error(std::errc::broken_pipe, "the channel is closed").with_operation("Channel::send");
    values_.push_back(std::move(value));
    available_.wake_one();
  }
  /// False when full or closed; the value is then untouched.
  bool try_send(T& value) {
    if (closed_ || values_.size() >= capacity_) return false;
    values_.push_back(std::move(value));
    available_.wake_one();
    return true;
  }
  Task<std::optional<T>> receive() {
    while (values_.empty()) {
      if (closed_) co_return std::nullopt;
      co_await wait_in(available_);
    }
    co_return pop();
  }
  std::optional<T> try_receive() {
    if (values_.empty()) return std::nullopt;
    return pop();
  }
  void close() noexcept {
    closed_ = true;
    space_.wake_all();
    available_.wake_all();
  }
  bool closed() const noexcept { return closed_; }
  std::size_t size() const noexcept { return values_.size(); }
  std::size_t capacity() const noexcept { return capacity_; }

 private:
  class WaitAwaiter : private detail::Waiter {
   public:
    explicit WaitAwaiter(detail::WaitQueue& queue) noexcept : Waiter("Channel"), queue_(queue) {}
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> handle) {
      return enqueue(queue_, handle, detail::promise_of(handle));
    }
    void await_resume() const { throw_if_stopped(); }

   private:
    detail::WaitQueue& queue_;
  };
  static WaitAwaiter wait_in(detail::WaitQueue& queue) noexcept { return WaitAwaiter{queue}; }

  std::optional<T> pop() {
    std::optional<T> value{std::move(values_.front())};
    values_.pop_front();
    space_.wake_one();
    if (!values_.empty()) available_.wake_one();
    return value;
  }

  std::size_t capacity_;
  std::deque<T> values_;
  bool closed_ = false;
  detail::WaitQueue space_;
  detail::WaitQueue available_;
};

}  // namespace spdkio
