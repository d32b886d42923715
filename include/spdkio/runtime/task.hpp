// Task<T>: a coroutine that starts when awaited and gives its result to the one that awaits it.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/runtime/promise.hpp>

#include <coroutine>
#include <exception>
#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>
#include <variant>

namespace spdkio {

template <class T>
class Task;

namespace detail {

/// What a task ended with, as an Error.
inline Error error_from(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (...) {
    return Error::from_current_exception();
  }
}

/// Rethrows what a task failed with that its caller did not wait for from the start: an Error is told what the caller
/// is doing.
[[noreturn]] void rethrow_joined(const std::exception_ptr& exception);

/// Where a coroutine leaves its value or its exception.
template <class T>
class ResultSlot {
 public:
  template <class U = T>
    requires std::convertible_to<U&&, T>
  void return_value(U&& value) {
    value_.template emplace<1>(std::forward<U>(value));
  }
  void unhandled_exception() noexcept { value_.template emplace<2>(std::current_exception()); }
  bool failed() const noexcept { return value_.index() == 2; }
  const std::exception_ptr& exception() const noexcept { return std::get<2>(value_); }
  T take() {
    if (failed()) std::rethrow_exception(exception());
    return std::move(std::get<1>(value_));
  }
  T take_joined() {
    if (failed()) rethrow_joined(exception());
    return std::move(std::get<1>(value_));
  }

 private:
  std::variant<std::monostate, T, std::exception_ptr> value_;
};

template <class T>
class ResultSlot<T&> {
 public:
  void return_value(T& value) noexcept { value_ = &value; }
  void unhandled_exception() noexcept { exception_ = std::current_exception(); }
  bool failed() const noexcept { return exception_ != nullptr; }
  const std::exception_ptr& exception() const noexcept { return exception_; }
  T& take() {
    if (failed()) std::rethrow_exception(exception_);
    return *value_;
  }
  T& take_joined() {
    if (failed()) rethrow_joined(exception_);
    return *value_;
  }

 private:
  T* value_ = nullptr;
  std::exception_ptr exception_;
};

template <>
class ResultSlot<void> {
 public:
  void return_void() noexcept {}
  void unhandled_exception() noexcept { exception_ = std::current_exception(); }
  bool failed() const noexcept { return exception_ != nullptr; }
  const std::exception_ptr& exception() const noexcept { return exception_; }
  void take() {
    if (failed()) std::rethrow_exception(exception_);
  }
  void take_joined() {
    if (failed()) rethrow_joined(exception_);
  }

 private:
  std::exception_ptr exception_;
};

struct FinalAwaiter {
  bool await_ready() const noexcept { return false; }
  template <std::derived_from<PromiseBase> Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> handle) const noexcept {
    return handle.promise().finish();
  }
  void await_resume() const noexcept {}
};

/// A Task was awaited that was moved from, or awaited before.
[[noreturn]] void throw_nothing_to_await();
void log_task_destroyed_running() noexcept;

template <class T>
class TaskPromise final : public PromiseBase, public ResultSlot<T> {
 public:
  /// May be handed to another Thread: its end is reported where it was awaited.
  static constexpr bool moves_between_threads = true;
  Task<T> get_return_object(const std::source_location& where = std::source_location::current()) noexcept;
  std::suspend_always initial_suspend() const noexcept { return {}; }
  FinalAwaiter final_suspend() const noexcept { return {}; }
};

}  // namespace detail

/// A lazy coroutine. Nothing runs until it is awaited (or spawned), it then runs on the current Thread, and whoever
/// awaits it resumes on the Thread where it awaited, even if the task moved with `resume_on`. Exceptions that leave the
/// task are thrown to the awaiter. A stop requested above reaches the operations inside.
///
/// Move-only; the handle owns the frame. Awaited once: again, or after it was moved from, it gives
/// Misuse::already_closed. Destroying a Task that was never started frees it. One that runs is awaited to its end, or
/// owned by a Scope or Thread that is: destroying it all the same is logged, and the frame is left alone, since an
/// operation may still write into it.
template <class T = void>
class [[nodiscard("a Task does nothing until it is awaited or spawned")]] Task {
 public:
  using promise_type = detail::TaskPromise<T>;
  using value_type = T;

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      destroy();
      handle_ = std::exchange(other.handle_, nullptr);
    }
    return *this;
  }
  ~Task() { destroy(); }

  class Awaiter {
   public:
    explicit Awaiter(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> awaiting) {
      if (!handle_ || handle_.promise().started()) [[unlikely]]
        detail::throw_nothing_to_await();
      return handle_.promise().start(handle_, detail::promise_of(awaiting), awaiting);
    }
    T await_resume() { return handle_.promise().take(); }

   private:
    std::coroutine_handle<promise_type> handle_;
  };
  /// A task is awaited once: the awaiter takes it over only in name, the Task object keeps the frame until it ends.
  Awaiter operator co_await() && noexcept { return Awaiter{handle_}; }

 private:
  friend class detail::TaskPromise<T>;
  explicit Task(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
  void destroy() noexcept {
    if (!handle_) return;
    if (handle_.promise().started() && !handle_.done()) [[unlikely]] {
      detail::log_task_destroyed_running();
      return;
    }
    handle_.destroy();
  }
  std::coroutine_handle<promise_type> handle_;
};

namespace detail {
template <class T>
Task<T> TaskPromise<T>::get_return_object(const std::source_location& where) noexcept {
  set_where(where);
  return Task<T>{std::coroutine_handle<TaskPromise<T>>::from_promise(*this)};
}
}  // namespace detail

}  // namespace spdkio
