// The result of a task that was spawned on a Thread.
#pragma once

#include <spdkio/runtime/task.hpp>
#include <spdkio/runtime/task_list.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <source_location>
#include <string>
#include <utility>

namespace spdkio {

namespace detail {

/// Throws ESRCH that names the Thread.
[[noreturn]] void throw_thread_ended(const Mailbox& mailbox);
/// The same for a task that was running.
[[noreturn]] void throw_thread_ended_early(const Mailbox& mailbox);

/// Shared by the task and its JoinHandle, which may be on different OS threads.
class JoinStateBase {
 public:
  /// Registers the message to be pushed at the end. False: it has ended already.
  bool set_waiter(Message& waiter, std::shared_ptr<Mailbox> mailbox);
  bool done() const;
  /// Throws Misuse::would_block where waiting would stop a reactor or the task itself.
  void wait_blocking();
  void request_stop(const std::shared_ptr<JoinStateBase>& self);
  void abandon_handle() noexcept;

  /// The Thread ended first, before the task started or, with `started`, before it ended: the waiter gets an Error.
  virtual void refuse(bool started) noexcept = 0;
  /// Tells the waiter. The result is there, and nothing of the task is left.
  void finish() noexcept;

  std::shared_ptr<Mailbox> mailbox;   ///< of the Thread that runs the task
  StopState* running_stop = nullptr;  ///< owner Thread only; null before the start and after the end

 protected:
  ~JoinStateBase() = default;
  virtual const std::exception_ptr* failure() const noexcept = 0;

 private:
  void log_unseen() const noexcept;

  mutable std::mutex mutex_;
  std::condition_variable ended_;
  bool done_ = false;
  bool abandoned_ = false;
  Message* waiter_ = nullptr;
  std::shared_ptr<Mailbox> waiter_mailbox_;
};

template <class T>
class JoinState final : public JoinStateBase {
 public:
  ResultSlot<T>& slot() noexcept { return slot_; }
  void refuse(bool started) noexcept override {
    try {
      started ? throw_thread_ended_early(*mailbox) : throw_thread_ended(*mailbox);
    } catch (...) {
      slot_.unhandled_exception();
    }
    finish();
  }
  T take() { return slot_.take_joined(); }

 private:
  const std::exception_ptr* failure() const noexcept override { return slot_.failed() ? &slot_.exception() : nullptr; }
  ResultSlot<T> slot_;
};

/// The coroutine around a spawned task. Owns itself: the frame goes away at its end, or if the Thread ended before it.
class Spawned {
 public:
  class promise_type final : public PromiseBase, public TaskNode {
   public:
    Spawned get_return_object() noexcept { return Spawned{std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    auto final_suspend() const noexcept {
      struct Final {
        bool await_ready() const noexcept { return false; }
        // The waiter hears of it last: what the task owned is gone by then.
        void await_suspend(std::coroutine_handle<promise_type> handle) const noexcept {
          handle.promise().ended();
          const auto joined = std::move(handle.promise().state);
          ErrorScope::set_current(nullptr);
          handle.destroy();
          joined->finish();
        }
        void await_resume() const noexcept {}
      };
      return Final{};
    }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept {}  // the body catches everything

    Message& message() noexcept { return *this; }
    void destroy() noexcept { std::coroutine_handle<promise_type>::from_promise(*this).destroy(); }

    std::shared_ptr<JoinStateBase> state;

   private:
    void run() noexcept override;
    void abandon() noexcept override;
    void ended() noexcept;
    ThreadCore* core_ = nullptr;
    StopState stop_;
  };
  promise_type& promise() const noexcept { return handle_.promise(); }

 private:
  explicit Spawned(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_;
};

template <class T>
Spawned run_spawned(Task<T> task, std::shared_ptr<JoinState<T>> state) {
  try {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(task);
    } else {
      state->slot().return_value(co_await std::move(task));
    }
  } catch (...) {
    state->slot().unhandled_exception();
  }
}

/// Hands the wrapper to its Thread; throws Error when the Thread has ended.
void launch(const Spawned& spawned, std::shared_ptr<JoinStateBase> state, std::shared_ptr<Mailbox> mailbox,
            std::string name, std::source_location where);

}  // namespace detail

/// Waits for a spawned task and takes its result, from any Thread or OS thread; once. Move-only. Dropping the handle
/// lets the task run on under its Thread's care; a failure that nobody will see is then logged.
template <class T = void>
class [[nodiscard]] JoinHandle {
 public:
  explicit JoinHandle(std::shared_ptr<detail::JoinState<T>> state) noexcept : state_(std::move(state)) {}
  JoinHandle(JoinHandle&&) noexcept = default;
  JoinHandle& operator=(JoinHandle&& other) noexcept {
    if (this != &other) {
      detach();
      state_ = std::move(other.state_);
    }
    return *this;
  }
  ~JoinHandle() { detach(); }

  bool done() const { return state_ != nullptr && state_->done(); }
  /// Asks the task to stop; any OS thread. It still has to be joined, and may end with a value.
  void request_stop() {
    if (state_ != nullptr) state_->request_stop(state_);
  }
  /// Lets go on purpose.
  void detach() noexcept {
    if (state_ != nullptr) state_->abandon_handle();
    state_ = nullptr;
  }
  /// Blocks the calling OS thread until the task has ended; throws what it threw. Refuses with Misuse::would_block
  /// inside a task, message or poller, on a reactor, and on the OS thread that has to run the task; the handle is then
  /// as before.
  T wait() {
    require()->wait_blocking();
    return take_state()->take();
  }

  class Awaiter final : detail::Message, detail::ReadyNode {
   public:
    explicit Awaiter(std::shared_ptr<detail::JoinState<T>> state) noexcept : state_(std::move(state)) {}
    Awaiter(Awaiter&& other) noexcept : state_(std::move(other.state_)) {}
    bool await_ready() const { return state_->done(); }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> waiting) {
      auto* const promise = detail::promise_of(waiting);
      set_waiting(waiting, promise);
      if (promise != nullptr) promise->set_waiting_on("join");
      return state_->set_waiter(*this, detail::ThreadCore::require_current("join").mailbox());
    }
    T await_resume() { return state_->take(); }

   private:
    void run() noexcept override { detail::ThreadCore::current()->make_ready(*this); }
    void abandon() noexcept override {}
    std::shared_ptr<detail::JoinState<T>> state_;
  };
  /// `co_await std::move(handle)`: the task's value, or its exception. Resumes on the awaiting Thread. A stop request
  /// does not end the wait, nor does it reach the task: `request_stop` does.
  Awaiter operator co_await() && { return Awaiter{take_state()}; }

 private:
  const std::shared_ptr<detail::JoinState<T>>& require() const {
    if (state_ == nullptr) throw Error(Misuse::already_closed, "this JoinHandle was joined or let go before");
    return state_;
  }
  std::shared_ptr<detail::JoinState<T>> take_state() {
    require();
    return std::exchange(state_, nullptr);
  }
  std::shared_ptr<detail::JoinState<T>> state_;
};

}  // namespace spdkio
