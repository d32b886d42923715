// Errors as values: `co_await as_result(op)` gives std::expected instead of throwing.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/runtime/awaitable.hpp>
#include <spdkio/runtime/task.hpp>

#include <exception>
#include <expected>
#include <type_traits>
#include <utility>

namespace spdkio {

namespace detail {

template <class A>
class AsResultAwaiter {
  using Plain = std::remove_reference_t<A>;
  using Value = AwaitResult<A>;

 public:
  explicit AsResultAwaiter(A&& awaitable) : awaitable_(std::forward<A>(awaitable)), awaiter_(bind(awaitable_)) {}
  AsResultAwaiter(AsResultAwaiter&& other) : awaitable_(std::forward<A>(other.awaitable_)), awaiter_(bind(awaitable_)) {}

  bool await_ready() { return awaiter_.await_ready(); }
  template <class Promise>
  decltype(auto) await_suspend(std::coroutine_handle<Promise> handle) {
    return awaiter_.await_suspend(handle);
  }
  Result<Value> await_resume() {
    if constexpr (requires { awaiter_.resume_result(); }) {
      return awaiter_.resume_result();  // operations that know their answer as a value never throw here
    } else {
      try {
        if constexpr (std::is_void_v<Value>) {
          awaiter_.await_resume();
          return {};
        } else {
          return awaiter_.await_resume();
        }
      } catch (...) {
        return std::unexpected(Error::from_current_exception());
      }
    }
  }

 private:
  static decltype(auto) bind(Plain& awaitable) {
    if constexpr (HasMemberCoAwait<Plain&&>) {
      return std::move(awaitable).operator co_await();
    } else {
      return (awaitable);
    }
  }
  A awaitable_;
  decltype(bind(std::declval<Plain&>())) awaiter_;
};

}  // namespace detail

/// Awaits `awaitable` and gives `std::expected<T, Error>`. Operations do so without throwing at all; for tasks the
/// exception is caught here. A non-Error exception is wrapped with its text.
template <Awaitable A>
auto as_result(A&& awaitable) {
  return detail::AsResultAwaiter<A>{std::forward<A>(awaitable)};
}

}  // namespace spdkio
