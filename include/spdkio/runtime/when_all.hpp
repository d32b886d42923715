// Running several awaitables at once and waiting for all of them.
#pragma once

#include <spdkio/runtime/group.hpp>

#include <ranges>
#include <tuple>
#include <utility>
#include <vector>

namespace spdkio {

namespace detail {

template <class... Ts>
class WhenAllAwaiter final : GroupBase {
 public:
  explicit WhenAllAwaiter(Child<Ts>... children) : GroupBase("when_all") {
    adopt(std::index_sequence_for<Ts...>{}, children...);
  }
  WhenAllAwaiter(WhenAllAwaiter&& other) noexcept : GroupBase("when_all"), slots_(std::move(other.slots_)) {}

  bool await_ready() const noexcept { return sizeof...(Ts) == 0; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle) {
    begin(promise_of(handle), handle, sizeof...(Ts));
    std::apply([this](auto&... slot) { (slot.start(*this, stop()), ...); }, slots_);
    return end_of_starts();
  }
  std::tuple<NonVoid<Ts>...> await_resume() {
    rethrow_first_failure();
    return std::apply([](auto&... slot) { return std::tuple<NonVoid<Ts>...>{slot.take()...}; }, slots_);
  }

 private:
  template <std::size_t... I>
  void adopt(std::index_sequence<I...>, Child<Ts>&... children) {
    ((std::get<I>(slots_).child = std::move(children)), ...);
  }
  std::coroutine_handle<> member_done(Member& member, const std::exception_ptr* failure) noexcept override {
    note_failure(member, failure);
    return one_done(failure != nullptr);
  }
  std::tuple<Slot<Ts>...> slots_;
};

template <class T>
class WhenAllRangeAwaiter final : GroupBase {
 public:
  explicit WhenAllRangeAwaiter(std::vector<Slot<T>> slots) : GroupBase("when_all"), slots_(std::move(slots)) {}
  WhenAllRangeAwaiter(WhenAllRangeAwaiter&& other) noexcept : GroupBase("when_all"), slots_(std::move(other.slots_)) {}

  bool await_ready() const noexcept { return slots_.empty(); }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle) {
    begin(promise_of(handle), handle, slots_.size());
    for (auto& slot : slots_) slot.start(*this, stop());
    return end_of_starts();
  }
  auto await_resume() {
    rethrow_first_failure();
    if constexpr (!std::is_void_v<T>) {
      std::vector<Stored<T>> results;
      results.reserve(slots_.size());
      for (auto& slot : slots_) results.push_back(slot.take());
      return results;
    }
  }

 private:
  std::coroutine_handle<> member_done(Member& member, const std::exception_ptr* failure) noexcept override {
    note_failure(member, failure);
    return one_done(failure != nullptr);
  }
  std::vector<Slot<T>> slots_;
};

}  // namespace detail

/// Starts every awaitable on the current Thread and waits until all have ended. Gives a tuple of their values
/// (std::monostate for void). When one fails the others are asked to stop, all are still awaited to their real end,
/// and the first failure is thrown. A stop requested above reaches all of them.
template <Awaitable... As>
[[nodiscard]] auto when_all(As... awaitables) {
  return detail::WhenAllAwaiter<AwaitResult<As>...>{detail::make_child(std::move(awaitables))...};
}

/// The same for a vector of awaitables; gives a vector of values in the same order (std::reference_wrapper for
/// references), or nothing for void.
template <Awaitable A>
[[nodiscard]] auto when_all(std::vector<A> awaitables) {
  using T = AwaitResult<A>;
  std::vector<detail::Slot<T>> slots(awaitables.size());
  for (std::size_t i = 0; i < awaitables.size(); ++i) slots[i].child = detail::make_child(std::move(awaitables[i]));
  return detail::WhenAllRangeAwaiter<T>{std::move(slots)};
}

}  // namespace spdkio
