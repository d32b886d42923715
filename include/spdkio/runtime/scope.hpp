// Scope: owns concurrent tasks; they all end before it does.
#pragma once

#include <spdkio/runtime/awaitable.hpp>
#include <spdkio/runtime/task.hpp>
#include <spdkio/runtime/task_list.hpp>

#include <coroutine>
#include <exception>
#include <memory>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

namespace spdkio {

namespace detail {

/// Outlives the Scope object while tasks run, so that a Scope destroyed by mistake is a report and not a crash.
class ScopeState : public std::enable_shared_from_this<ScopeState> {
 public:
  explicit ScopeState(std::string name);
  ScopeState(const ScopeState&) = delete;

  void task_started(TaskNode& node);
  std::coroutine_handle<> task_ended(TaskNode& node, std::exception_ptr failure) noexcept;

  std::string name;
  std::shared_ptr<Mailbox> home;  ///< of the Thread it belongs to
  StopState stop;
  TaskList tasks;
  std::exception_ptr first_failure;
  std::coroutine_handle<> joiner;
  ErrorScope* joiner_scope = nullptr;
};

/// The coroutine around a task of a Scope; owns itself until it ends.
class ScopeTask {
 public:
  class promise_type final : public PromiseBase, public TaskNode {
   public:
    ScopeTask get_return_object() noexcept {
      return ScopeTask{std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    auto final_suspend() const noexcept {
      struct Final {
        bool await_ready() const noexcept { return false; }
        std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> handle) const noexcept {
          auto& promise = handle.promise();
          const auto scope = std::move(promise.state);
          ErrorScope::set_current(nullptr);
          const auto next = scope->task_ended(promise, std::move(promise.failure));
          handle.destroy();
          return next;
        }
        void await_resume() const noexcept {}
      };
      return Final{};
    }
    void return_void() const noexcept {}
    void unhandled_exception() noexcept { failure = std::current_exception(); }

    std::shared_ptr<ScopeState> state;
    std::exception_ptr failure;
  };
  explicit ScopeTask(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
  std::coroutine_handle<promise_type> handle() const noexcept { return handle_; }

 private:
  std::coroutine_handle<promise_type> handle_;
};

template <class A>
ScopeTask run_in_scope(A awaitable) {
  co_await std::move(awaitable);
}

}  // namespace detail

/// A nursery: tasks spawned into it run concurrently on the current Thread, and `join` waits for all of them. The first
/// failure asks the others to stop and is thrown by `join`. Belongs to the Thread it was made on. One allocation, and
/// none per task. It must be joined
/// before it is destroyed; otherwise the tasks are asked to stop, carry on under their own ownership, and the log names
/// them: prefer `with_scope`, which always joins.
class Scope {
 public:
  explicit Scope(std::string name = {});
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  ~Scope();

  /// Starts `awaitable` (a Task or an operation) at once, up to its first wait. Its value is dropped. Starting fails
  /// with Error(operation_canceled) after a stop was requested, and with Misuse::wrong_thread on another Thread.
  template <Awaitable A>
  void spawn(A awaitable, std::string name = {}, std::source_location where = std::source_location::current()) {
    const auto task = detail::run_in_scope(std::move(awaitable));
    start(task.handle(), std::move(name), where);
  }

  /// `co_await scope.join()`: until every task has ended. While it waits, a stop requested above reaches the tasks.
  /// Afterwards the scope may be used again, unless a task failed or a stop was requested: that stays.
  class JoinAwaiter {
   public:
    explicit JoinAwaiter(Scope& scope) noexcept : scope_(scope) {}
    bool await_ready() const noexcept { return scope_.state_->tasks.empty(); }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> handle) {
      return scope_.suspend_joiner(handle, detail::promise_of(handle));
    }
    void await_resume() { scope_.finish_join(); }

   private:
    Scope& scope_;
  };
  JoinAwaiter join() noexcept { return JoinAwaiter{*this}; }

  /// Asks every task, and every later one, to stop.
  void request_stop() noexcept { state_->stop.request_stop(); }
  bool stop_requested() const noexcept { return state_->stop.stop_requested(); }
  std::size_t size() const noexcept { return state_->tasks.size(); }
  /// What is still running: for debugging something that does not end.
  std::vector<RunningTask> running() const { return state_->tasks.snapshot(); }

 private:
  void start(std::coroutine_handle<detail::ScopeTask::promise_type> task, std::string name, std::source_location where);
  void require_home(const char* operation) const;
  bool suspend_joiner(std::coroutine_handle<> handle, detail::PromiseBase* promise);
  void finish_join();
  std::shared_ptr<detail::ScopeState> state_;
};

namespace detail {
template <class F>
Task<> run_with_scope(F body) {
  Scope scope;
  std::exception_ptr failure;
  try {
    co_await body(scope);
  } catch (...) {
    failure = std::current_exception();
    scope.request_stop();
  }
  try {
    co_await scope.join();
  } catch (...) {
    if (!failure) failure = std::current_exception();
  }
  if (failure) std::rethrow_exception(failure);
}
}  // namespace detail

/// Runs the coroutine `body(Scope&)` and joins the scope whatever happens; a failure of the body asks the tasks to stop
/// first, and is the one that is thrown.
template <class F>
Task<> with_scope(F&& body) {
  static_assert(
      SafeInCoAwait<F>,
      "g++ 12 destroys such a temporary closure twice inside co_await: name the function object first, or pass "
      "spdkio::moved(fn)");
  return detail::run_with_scope<std::decay_t<F>>(std::forward<F>(body));
}

}  // namespace spdkio
