// The coroutine in which an operation runs that code outside of any task started: the common part of the adapters.
#pragma once

#include <spdkio/runtime/awaitable.hpp>
#include <spdkio/runtime/promise.hpp>
#include <spdkio/runtime/task.hpp>
#include <spdkio/runtime/task_list.hpp>

#include <concepts>
#include <coroutine>
#include <exception>
#include <source_location>
#include <type_traits>
#include <utility>

namespace spdkio::detail {

/// The part that does not depend on who is told. Everything happens on the Thread that launches it.
class DetachedPromise : public PromiseBase, public TaskNode {
 public:
  /// Runs the coroutine in the next round of the current Thread, among its tasks and below `parent` (null: the Thread's
  /// own stop). Throws Misuse::wrong_thread outside of a Thread; `operation` is then named.
  void launch(std::coroutine_handle<> self, const char* operation, StopState* parent, std::source_location where);
  StopState& stop() noexcept { return stop_; }

 protected:
  DetachedPromise() = default;
  ~DetachedPromise() = default;
  void ended() noexcept;

 private:
  ThreadCore* core_ = nullptr;
  ReadyNode turn_;
  StopState stop_;
};

/// Error(ESRCH): the Thread ended under the operation.
std::exception_ptr thread_ended_under_operation() noexcept;

/// Who is told is a Sink: `set(...)` and `set_exception` keep the result, `deliver` hands it on, exactly once, and does
/// not throw. By then the frame, and with it the awaitable, is gone: a loop over millions of operations needs no stack.
template <class S>
concept DetachedSink = std::move_constructible<S> && requires(S& sink, std::exception_ptr failure) {
  sink.set_exception(failure);
  { std::move(sink).deliver() } noexcept;
};

/// The handle of such a coroutine. From its launch to its end it owns itself.
template <DetachedSink Sink>
class Detached {
 public:
  class promise_type final : public DetachedPromise {
   public:
    template <class A>
    promise_type(A&, Sink& sink) noexcept : sink_(sink) {
      orphaned = [](TaskNode& node) noexcept {
        auto& self = static_cast<promise_type&>(node);
        self.sink_.set_exception(thread_ended_under_operation());
        std::move(self.sink_).deliver();
      };
    }
    Detached get_return_object() noexcept { return Detached{std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    auto final_suspend() const noexcept {
      struct Final {
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<promise_type> handle) const noexcept {
          auto& promise = handle.promise();
          promise.ended();
          Sink sink(std::move(promise.sink_));
          ErrorScope::set_current(nullptr);  // the frame's, which goes now
          handle.destroy();
          std::move(sink).deliver();
        }
        void await_resume() const noexcept {}
      };
      return Final{};
    }
    void return_void() const noexcept {}
    void unhandled_exception() noexcept { sink_.set_exception(std::current_exception()); }
    Sink& sink() const noexcept { return sink_; }

   private:
    Sink& sink_;  // in the same frame
  };

  Detached(const Detached&) = delete;
  Detached& operator=(const Detached&) = delete;
  /// One that was not launched goes without an answer.
  ~Detached() {
    if (handle_) handle_.destroy();
  }

  promise_type& promise() const noexcept { return handle_.promise(); }
  /// See DetachedPromise::launch. Once.
  void launch(const char* operation, StopState* parent, std::source_location where) {
    promise().launch(handle_, operation, parent, where);
    handle_ = nullptr;
  }

 private:
  explicit Detached(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_;
};

template <class A, DetachedSink Sink>
Detached<Sink> run_detached(A awaitable, Sink sink) {
  if constexpr (std::is_void_v<AwaitResult<A>>) {
    co_await std::move(awaitable);
    sink.set();
  } else {
    sink.set(co_await std::move(awaitable));
  }
}

}  // namespace spdkio::detail
