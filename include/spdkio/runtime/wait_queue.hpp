// A FIFO of waiting coroutines: what the synchronisation types of this folder are made of.
#pragma once

#include <spdkio/runtime/promise.hpp>

#include <coroutine>
#include <cstddef>

namespace spdkio::detail {

class WaitQueue;

/// A waiting coroutine; lives in its frame. A stop request takes it out of the queue.
class Waiter : private ReadyNode, private StopNode {
 public:
  explicit Waiter(const char* what) noexcept : StopNode(on_stop), what_(what) {}
  Waiter(const Waiter& other) noexcept : ReadyNode(), StopNode(on_stop), what_(other.what_) {}

  /// Queues and says whether to suspend: not when a stop was already requested. Throws Misuse::wrong_thread when the
  /// queue belongs to another Thread.
  bool enqueue(WaitQueue& queue, std::coroutine_handle<> waiting, PromiseBase* promise);
  bool stopped() const noexcept { return stopped_; }
  /// Throws Error(operation_canceled) if a stop ended the wait.
  void throw_if_stopped() const;

 private:
  friend class WaitQueue;
  static void on_stop(StopNode& node) noexcept;
  void wake() noexcept;

  const char* what_;
  WaitQueue* queue_ = nullptr;
  Waiter* previous_ = nullptr;
  Waiter* next_ = nullptr;
  ThreadCore* core_ = nullptr;
  bool stopped_ = false;
};

/// Belongs to the Thread that first waits on it.
class WaitQueue {
 public:
  WaitQueue() = default;
  WaitQueue(const WaitQueue&) = delete;
  WaitQueue& operator=(const WaitQueue&) = delete;
  ~WaitQueue();

  bool empty() const noexcept { return head_ == nullptr; }
  Waiter* front() const noexcept { return head_; }
  /// Makes the first waiter ready; false when there is none.
  bool wake_one() noexcept;
  std::size_t wake_all() noexcept;

 private:
  friend class Waiter;
  void remove(Waiter& waiter) noexcept;
  Waiter* head_ = nullptr;
  Waiter* tail_ = nullptr;
};

}  // namespace spdkio::detail
