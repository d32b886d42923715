// Running several awaitables at once and taking the first that ends.
#pragma once

#include <spdkio/runtime/group.hpp>

#include <cstddef>
#include <optional>
#include <tuple>
#include <utility>
#include <variant>

namespace spdkio {

namespace detail {

template <class... Ts>
class WhenAnyAwaiter final : GroupBase {
 public:
  explicit WhenAnyAwaiter(Child<Ts>... children) : GroupBase("when_any") {
    adopt(std::index_sequence_for<Ts...>{}, children...);
  }
  WhenAnyAwaiter(WhenAnyAwaiter&& other) noexcept : GroupBase("when_any"), slots_(std::move(other.slots_)) {}

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle) {
    begin(promise_of(handle), handle, sizeof...(Ts));
    std::apply([this](auto&... slot) { (slot.start(*this, stop()), ...); }, slots_);
    return end_of_starts();
  }
  std::variant<Stored<Ts>...> await_resume() { return take_first(std::index_sequence_for<Ts...>{}); }

 private:
  template <std::size_t... I>
  void adopt(std::index_sequence<I...>, Child<Ts>&... children) {
    ((std::get<I>(slots_).child = std::move(children)), ...);
  }
  template <std::size_t... I>
  std::variant<Stored<Ts>...> take_first(std::index_sequence<I...>) {
    std::optional<std::variant<Stored<Ts>...>> result;
    ((static_cast<Member*>(&std::get<I>(slots_)) == first()
          ? (void)result.emplace(std::in_place_index<I>, std::get<I>(slots_).take())
          : void()),
     ...);
    return std::move(*result);
  }
  std::coroutine_handle<> member_done(Member& member, const std::exception_ptr*) noexcept override {
    note_first(member);
    return one_done(true);
  }
  std::tuple<Slot<Ts>...> slots_;
};

}  // namespace detail

/// Starts every awaitable on the current Thread. When the first has ended the others are asked to stop and awaited to
/// their real end; then gives a variant whose index says which was first, with its value (std::monostate for void,
/// std::reference_wrapper for references), or throws that one's failure. What the others gave is dropped.
template <Awaitable... As>
  requires(sizeof...(As) > 0)
[[nodiscard]] auto when_any(As... awaitables) {
  return detail::WhenAnyAwaiter<AwaitResult<As>...>{detail::make_child(std::move(awaitables))...};
}

}  // namespace spdkio
