// A FIFO of waiting coroutines: what the synchronisation types of this folder are made of.
#pragma once

#include <spdkio/runtime/promise.hpp>

#include <coroutine>
#include <cstddef>
#include <memory>

namespace spdkio::detail {

class WaitQueue;

/// A waiting coroutine; lives in its frame. A stop request takes it out of the queue.
class Waiter : private ReadyNode, private StopNode {
 public:
  explicit Waiter(const char* what) noexcept : StopNode(on_stop), what_(what) {}
  /// Copies are made before the wait: nothing but the purpose is taken over.
  Waiter(const Waiter& other) noexcept : ReadyNode(), StopNode(on_stop), what_(other.what_) {}
  Waiter& operator=(const Waiter&) = delete;

  /// For what is there already: false when the task has had its share and others should run first, see `pass`.
  static bool take_turn() noexcept {
    ThreadCore* const core = ThreadCore::current();
    return core == nullptr || core->take_inline_turn();
  }
  /// Suspends for a turn without queueing; a stop request does not matter.
  void pass(std::coroutine_handle<> waiting, PromiseBase* promise);
  /// Queues and says whether to suspend: not when a stop was already requested. Throws Misuse::wrong_thread when the
  /// queue belongs to another Thread.
  bool enqueue(WaitQueue& queue, std::coroutine_handle<> waiting, PromiseBase* promise);
  bool stopped() const noexcept { return stopped_; }
  /// What it waited for was destroyed.
  bool orphaned() const noexcept { return orphaned_; }
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
  bool orphaned_ = false;
};

/// Belongs to the Thread that first waits on it, until that has ended.
class WaitQueue {
 public:
  WaitQueue() = default;
  WaitQueue(const WaitQueue&) = delete;
  WaitQueue& operator=(const WaitQueue&) = delete;
  /// Logs if somebody waits. Who does goes on waiting, until stopped.
  ~WaitQueue();

  bool empty() const noexcept { return head_ == nullptr; }
  Waiter* front() const noexcept { return head_; }
  /// Makes the first waiter ready; false when there is none.
  bool wake_one() noexcept;
  std::size_t wake_all() noexcept;

  /// Throws Misuse::wrong_thread unless it belongs to nobody, or to the current Thread.
  void require_home(const char* what) const {
    if (home_core_ != nullptr && home_core_ != ThreadCore::current()) [[unlikely]]
      require_home_ended(what);
  }
  /// The same as an answer, for destructors.
  bool at_home() const noexcept;

 private:
  friend class Waiter;
  void adopt(ThreadCore& core, const char* what);
  void require_home_ended(const char* what) const;
  void remove(Waiter& waiter) noexcept;
  Waiter* head_ = nullptr;
  Waiter* tail_ = nullptr;
  const ThreadCore* home_core_ = nullptr;
  std::shared_ptr<Mailbox> home_;
};

}  // namespace spdkio::detail
