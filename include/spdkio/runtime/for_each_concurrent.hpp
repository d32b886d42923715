// for_each_concurrent: the same work for every element, so many at a time.
#pragma once

#include <spdkio/runtime/awaitable.hpp>
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/stop_token.hpp>
#include <spdkio/runtime/task.hpp>

#include <cstddef>
#include <exception>
#include <ranges>
#include <type_traits>
#include <utility>

namespace spdkio {

namespace detail {

[[noreturn]] void throw_stopped_half_way();

template <class Iterator, class Sentinel, class F>
Task<> for_each_worker(Iterator& next, const Sentinel& end, F& fn, Scope& scope) {
  while (next != end && !scope.stop_requested()) {
    auto&& element = *next;
    auto task = fn(std::forward<decltype(element)>(element));
    ++next;
    co_await std::move(task);
  }
}

template <class Range, class F>
Task<> run_for_each(std::size_t limit, Range range, F fn) {
  auto next = std::ranges::begin(range);
  const auto end = std::ranges::end(range);
  const StopToken stop = co_await stop_token();
  Scope scope("for_each");  // short: a name that is kept in place
  std::exception_ptr failure;
  try {
    for (std::size_t i = 0; i < limit && next != end && !stop.stop_requested() && !scope.stop_requested(); ++i) {
      scope.spawn(for_each_worker(next, end, fn, scope));
    }
  } catch (...) {
    failure = std::current_exception();
    scope.request_stop();
  }
  co_await scope.join();
  if (failure) std::rethrow_exception(failure);
  if (next != end) throw_stopped_half_way();
}

}  // namespace detail

/// Awaits `fn(element)` for every element of `range`, at most `limit` at a time, on the current Thread. `fn` returns a
/// Task. The first failure, or a stop request, starts no more; what runs is asked to stop and awaited; then it is
/// thrown. A stop before the last element was taken is Error(operation_canceled) even if what ran ended well. An lvalue
/// range must outlive the call's end; an rvalue is moved in. With a single-pass range `fn` takes its element by value:
/// the next one is fetched while it runs.
template <std::ranges::input_range Range, class F>
Task<> for_each_concurrent(std::size_t limit, Range&& range, F&& fn) {
  static_assert(
      SafeInCoAwait<F>,
      "g++ 12 destroys such a temporary closure twice inside co_await: name the function object first, or pass "
      "spdkio::moved(fn)");
  return detail::run_for_each<std::views::all_t<Range>, std::decay_t<F>>(
      limit == 0 ? 1 : limit, std::views::all(std::forward<Range>(range)), std::forward<F>(fn));
}

}  // namespace spdkio
