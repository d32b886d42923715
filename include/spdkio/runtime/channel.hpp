// Channel<T>: a bounded queue of values between tasks of one Thread.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/runtime/wait_queue.hpp>

#include <algorithm>
#include <coroutine>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace spdkio {

/// Senders wait while it is full, receivers while it is empty; both are served in the order of asking, and a value goes
/// straight to the receiver that waited longest. After `close` sends fail with EPIPE, also those that wait, and
/// receivers get what is left, then an empty optional. Stop requests end waits with Error(operation_canceled); the
/// value of a stopped send is dropped, none is lost by a stopped receive. Belongs to the Thread that first waits for
/// it; the others get Misuse::wrong_thread. Must outlive its waiters. No allocation once it has been as full as it
/// gets.
template <class T>
class Channel {
 public:
  /// `capacity` is at least 1.
  explicit Channel(std::size_t capacity) : capacity_(capacity == 0 ? 1 : capacity) {}

  class SendAwaiter : private detail::Waiter {
   public:
    SendAwaiter(Channel& channel, T value) : Waiter("Channel::send"), channel_(channel), value_(std::move(value)) {}
    SendAwaiter(SendAwaiter&& other) : Waiter(other), channel_(other.channel_), value_(std::move(other.value_)) {}

    bool await_ready() {
      channel_.require_home("Channel::send");
      if (!take_turn()) return false;
      return channel_.closed_ || offer();
    }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> handle) {
      if (channel_.closed_ || offer()) {
        pass(handle, detail::promise_of(handle));
        return true;
      }
      return enqueue(channel_.senders_, handle, detail::promise_of(handle));
    }
    void await_resume() const {
      throw_if_stopped();
      if (!sent_) throw Error(std::errc::broken_pipe, "the channel is closed").with_operation("Channel::send");
    }

   private:
    friend class Channel;
    bool offer() { return sent_ = channel_.put(value_); }
    Channel& channel_;
    T value_;
    bool sent_ = false;
  };

  class ReceiveAwaiter : private detail::Waiter {
   public:
    explicit ReceiveAwaiter(Channel& channel) noexcept : Waiter("Channel::receive"), channel_(channel) {}
    ReceiveAwaiter(ReceiveAwaiter&& other) noexcept : Waiter(other), channel_(other.channel_) {}

    bool await_ready() {
      channel_.require_home("Channel::receive");
      if (!take_turn()) return false;
      return poll();
    }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> handle) {
      if (poll()) {
        pass(handle, detail::promise_of(handle));
        return true;
      }
      return enqueue(channel_.receivers_, handle, detail::promise_of(handle));
    }
    std::optional<T> await_resume() {
      throw_if_stopped();
      return std::move(value_);
    }

   private:
    friend class Channel;
    bool poll() {
      value_ = channel_.take();
      return value_.has_value() || channel_.closed_;
    }
    Channel& channel_;
    std::optional<T> value_;
  };

  /// `co_await channel.send(value)`.
  SendAwaiter send(T value) { return {*this, std::move(value)}; }
  /// False when full or closed; the value is then untouched.
  bool try_send(T& value) {
    require_home("Channel::try_send");
    return !closed_ && put(value);
  }
  /// `auto value = co_await channel.receive()`: empty once it is closed and drained.
  ReceiveAwaiter receive() noexcept { return ReceiveAwaiter{*this}; }
  std::optional<T> try_receive() {
    require_home("Channel::try_receive");
    return take();
  }
  void close() {
    require_home("Channel::close");
    closed_ = true;
    senders_.wake_all();
    receivers_.wake_all();
  }
  bool closed() const noexcept { return closed_; }
  std::size_t size() const noexcept { return size_; }
  std::size_t capacity() const noexcept { return capacity_; }

 private:
  void require_home(const char* what) const {
    senders_.require_home(what);
    receivers_.require_home(what);
  }
  /// To the first receiver, or into the ring; false when it is full.
  bool put(T& value) {
    if (detail::Waiter* waiting = receivers_.front()) {
      static_cast<ReceiveAwaiter&>(*waiting).value_.emplace(std::move(value));
      receivers_.wake_one();
      return true;
    }
    if (size_ >= capacity_) return false;
    if (size_ == ring_.size()) grow();
    ring_[(first_ + size_) % ring_.size()].emplace(std::move(value));
    ++size_;
    return true;
  }
  std::optional<T> take() {
    if (size_ == 0) return std::nullopt;
    std::optional<T> value = std::move(ring_[first_]);
    ring_[first_].reset();
    first_ = (first_ + 1) % ring_.size();
    --size_;
    if (detail::Waiter* waiting = senders_.front()) {
      if (static_cast<SendAwaiter&>(*waiting).offer()) senders_.wake_one();
    }
    return value;
  }
  void grow() {
    std::vector<std::optional<T>> larger(std::min(capacity_, std::max<std::size_t>(2 * ring_.size(), 4)));
    for (std::size_t i = 0; i < size_; ++i) larger[i] = std::move(ring_[(first_ + i) % ring_.size()]);
    ring_ = std::move(larger);
    first_ = 0;
  }

  std::size_t capacity_;
  std::vector<std::optional<T>> ring_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
  bool closed_ = false;
  detail::WaitQueue senders_;
  detail::WaitQueue receivers_;
};

}  // namespace spdkio
