// Errors as values: `co_await as_result(op)` gives std::expected instead of throwing.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/runtime/awaitable.hpp>
#include <spdkio/runtime/group.hpp>

#include <coroutine>
#include <exception>
#include <expected>
#include <optional>
#include <type_traits>
#include <utility>

namespace spdkio {

namespace detail {

/// The awaiter of an awaitable: itself, or what its operator co_await gives, asked for when it is awaited.
template <class A>
class AwaiterOf {
 public:
  explicit AwaiterOf(A&& awaitable) : awaitable_(std::forward<A>(awaitable)) {}
  auto& get() noexcept { return awaitable_; }

 private:
  A awaitable_;
};

template <class A>
  requires HasMemberCoAwait<A>
class AwaiterOf<A> {
  using Awaiter = decltype(std::declval<A>().operator co_await());

 public:
  explicit AwaiterOf(A&& awaitable) : awaitable_(std::forward<A>(awaitable)) {}
  AwaiterOf(AwaiterOf&& other) noexcept(std::is_nothrow_constructible_v<A, A&&>)
      : awaitable_(std::forward<A>(other.awaitable_)) {}
  auto& get() {
    if (!awaiter_) awaiter_.emplace(Make{*this});
    return *awaiter_;
  }

 private:
  struct Make {
    AwaiterOf& self;
    operator Awaiter() const { return std::forward<A>(self.awaitable_).operator co_await(); }
  };
  A awaitable_;
  std::optional<Awaiter> awaiter_;
};

template <class A>
class AsResultAwaiter {
  using Value = AwaitResult<A>;
  using Kept = std::conditional_t<std::is_reference_v<Value>, Stored<Value>, Value>;

 public:
  explicit AsResultAwaiter(A&& awaitable) : inner_(std::forward<A>(awaitable)) {}

  bool await_ready() {
    try {
      return inner_.get().await_ready();
    } catch (...) {
      refused_ = std::current_exception();
      return true;
    }
  }
  template <class Promise>
  auto await_suspend(std::coroutine_handle<Promise> handle) {
    using Answer = decltype(inner_.get().await_suspend(handle));
    if constexpr (std::is_same_v<Answer, bool>) {
      try {
        return inner_.get().await_suspend(handle);
      } catch (...) {
        refused_ = std::current_exception();
        return false;
      }
    } else {
      return inner_.get().await_suspend(handle);
    }
  }
  Result<Kept> await_resume() {
    if (refused_) [[unlikely]]
      return std::unexpected(error_from(refused_));
    if constexpr (requires { inner_.get().resume_result(); }) {
      return inner_.get().resume_result();  // operations that know their answer as a value never throw here
    } else {
      try {
        if constexpr (std::is_void_v<Value>) {
          inner_.get().await_resume();
          return {};
        } else {
          return Kept(inner_.get().await_resume());
        }
      } catch (...) {
        return std::unexpected(Error::from_current_exception());
      }
    }
  }

 private:
  AwaiterOf<A> inner_;
  std::exception_ptr refused_;  // the wait did not even begin
};

}  // namespace detail

/// Awaits `awaitable` and gives `std::expected<T, Error>` (of a std::reference_wrapper for references). Operations do
/// so without throwing at all; for tasks the exception is caught here. A non-Error exception is wrapped with its text.
template <Awaitable A>
[[nodiscard]] auto as_result(A&& awaitable) {
  return detail::AsResultAwaiter<A>{std::forward<A>(awaitable)};
}

}  // namespace spdkio
