// The coroutine that combinators and scopes wrap around what they run: it reports its end to its owner.
#pragma once

#include <spdkio/runtime/awaitable.hpp>
#include <spdkio/runtime/task.hpp>

#include <coroutine>
#include <utility>

namespace spdkio::detail {

/// Told when a child ended. The owner may destroy the child from inside the call. Returns what to resume next.
class ChildOwner {
 public:
  virtual std::coroutine_handle<> child_done() noexcept = 0;

 protected:
  ~ChildOwner() = default;
};

template <class T>
class Child;

template <class T>
class ChildPromise final : public PromiseBase, public ResultSlot<T> {
 public:
  Child<T> get_return_object() noexcept;
  std::suspend_always initial_suspend() const noexcept { return {}; }
  auto final_suspend() const noexcept {
    struct Final {
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<ChildPromise> handle) const noexcept {
        ErrorScope::set_current(handle.promise().outer_scope());  // what may go on now is who waits for the owner
        return handle.promise().owner_->child_done();
      }
      void await_resume() const noexcept {}
    };
    return Final{};
  }
  ChildOwner* owner_ = nullptr;
};

/// Owns the wrapper's frame. Started once by its owner; destroyed only before the start or after the end.
template <class T>
class Child {
 public:
  using promise_type = ChildPromise<T>;
  Child() = default;
  explicit Child(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
  Child(Child&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Child& operator=(Child&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Child() {
    if (handle_) handle_.destroy();
  }

  /// `inside` is the coroutine that waits for the owner, or null.
  void start(ChildOwner& owner, StopState* stop, ErrorScope* inside = nullptr) {
    handle_.promise().owner_ = &owner;
    handle_.promise().set_outer_scope(inside);
    handle_.promise().set_stop_state(stop);
    handle_.promise().set_waiting_on("ready");
    resume_inside(handle_, &handle_.promise());
  }
  promise_type& promise() const noexcept { return handle_.promise(); }

 private:
  std::coroutine_handle<promise_type> handle_;
};

template <class T>
Child<T> ChildPromise<T>::get_return_object() noexcept {
  return Child<T>{std::coroutine_handle<ChildPromise<T>>::from_promise(*this)};
}

/// Runs an awaitable as a child; the awaitable lives in the child's frame.
template <class A>
Child<AwaitResult<A>> make_child(A awaitable) {
  co_return co_await std::move(awaitable);
}

}  // namespace spdkio::detail
