// Concepts over things that can be awaited, used by the combinators.
#pragma once

#include <spdkio/base/error.hpp>

#include <concepts>
#include <coroutine>
#include <type_traits>
#include <utility>

namespace spdkio {

namespace detail {

template <class T>
concept Awaiter = requires(T& awaiter) {
  { awaiter.await_ready() } -> std::convertible_to<bool>;
  awaiter.await_resume();
};

template <class T>
concept HasMemberCoAwait = requires(T&& awaitable) { std::forward<T>(awaitable).operator co_await(); };

template <class T>
decltype(auto) get_awaiter(T&& awaitable) {
  if constexpr (HasMemberCoAwait<T>) {
    return std::forward<T>(awaitable).operator co_await();
  } else {
    return std::forward<T>(awaitable);
  }
}

}  // namespace detail

/// Something that `co_await` accepts in a Task: an operation, a Task, a combinator.
template <class T>
concept Awaitable = detail::HasMemberCoAwait<T> || detail::Awaiter<T>;

/// What `co_await` on a T gives.
template <Awaitable T>
using AwaitResult = decltype(detail::get_awaiter(std::declval<T>()).await_resume());

/// Callables that may be written in place inside a `co_await` expression. g++ 12 destroys a temporary closure with
/// non-trivial captures twice there, so on that compiler such a closure must be a named object, or wrapped in `moved`.
template <class F>
concept SafeInCoAwait =
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
    std::is_lvalue_reference_v<F> || std::is_trivially_destructible_v<std::remove_cvref_t<F>> ||
    requires { typename std::remove_cvref_t<F>::is_moved; };
#else
    true;
#endif

/// Carries a callable with non-trivial captures into a `co_await` expression safely on every compiler:
/// `co_await handle.call(moved(std::move(fn)))`.
template <class F>
class Moved {
 public:
  using is_moved = void;
  explicit Moved(F fn) : fn_(std::move(fn)) {}
  template <class... Args>
  decltype(auto) operator()(Args&&... args) {
    return fn_(std::forward<Args>(args)...);
  }

 private:
  F fn_;
};
template <class F>
Moved<std::remove_cvref_t<F>> moved(F&& fn) {
  return Moved<std::remove_cvref_t<F>>{std::forward<F>(fn)};
}

}  // namespace spdkio
