// The common part of when_all, when_any and with_timeout: children below one stop state, awaited to their real end.
#pragma once

#include <spdkio/runtime/child.hpp>

#include <coroutine>
#include <cstddef>
#include <exception>
#include <functional>
#include <type_traits>
#include <utility>
#include <variant>

namespace spdkio::detail {

template <class T>
using NonVoid = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

/// What takes the place of T where only objects can be: in variants, vectors and std::expected.
template <class T>
using Stored =
    std::conditional_t<std::is_reference_v<T>, std::reference_wrapper<std::remove_reference_t<T>>, NonVoid<T>>;

/// A member of a group, without its type.
class Member {};

class GroupBase {
 public:
  /// A member ended; `failure` is its exception or null. Says what to resume next.
  virtual std::coroutine_handle<> member_done(Member& member, const std::exception_ptr* failure) noexcept = 0;
  /// The coroutine that waits for the group; null: one of another library.
  PromiseBase* awaiting() const noexcept { return promise_; }

 protected:
  explicit GroupBase(const char* what) noexcept : what_(what) {}
  GroupBase(const GroupBase&) = delete;
  GroupBase& operator=(const GroupBase&) = delete;
  ~GroupBase() = default;

  void begin(PromiseBase* promise, std::coroutine_handle<> continuation, std::size_t count) noexcept {
    continuation_ = continuation;
    promise_ = promise;
    remaining_ = count + 1;  // one for the starts, so that the last child can't resume us while we still start others
    if (promise != nullptr) {
      stop_.link_to(promise->stop_state());
      promise->set_waiting_on(what_);
    }
  }
  /// For a group of one: the debug listing shows what `child` waits for.
  void show(PromiseBase& child) noexcept {
    if (promise_ != nullptr) promise_->set_child(&child);
  }
  /// False: everything ended during the starts, and the awaiting coroutine goes on without suspending.
  bool end_of_starts() noexcept {
    if (--remaining_ != 0) return true;
    end();
    return false;
  }
  std::coroutine_handle<> one_done(bool stop_others) noexcept {
    if (stop_others) stop_.request_stop();
    if (--remaining_ != 0) return std::noop_coroutine();
    end();
    return continuation_;
  }
  void note_failure(Member& member, const std::exception_ptr* failure) noexcept {
    if (failure == nullptr || first_ != nullptr) return;
    first_ = &member;
    first_failure_ = *failure;
  }
  void note_first(Member& member) noexcept {
    if (first_ == nullptr) first_ = &member;
  }
  Member* first() const noexcept { return first_; }
  void rethrow_first_failure() const {
    if (first_failure_) std::rethrow_exception(first_failure_);
  }
  StopState& stop() noexcept { return stop_; }

 private:
  void end() noexcept {
    stop_.unlink_from_parent();
    if (promise_ != nullptr) promise_->set_child(nullptr);
  }

  const char* what_;
  std::coroutine_handle<> continuation_;
  PromiseBase* promise_ = nullptr;
  std::size_t remaining_ = 0;
  Member* first_ = nullptr;
  std::exception_ptr first_failure_;
  StopState stop_;
};

/// One child of a group, with its result.
template <class T>
class Slot final : public Member, private ChildOwner {
 public:
  Slot() = default;
  Slot(Slot&& other) noexcept : child(std::move(other.child)) {}
  Child<T> child;

  void start(GroupBase& group, StopState& stop) {
    group_ = &group;
    child.start(*this, &stop, group.awaiting());
  }
  NonVoid<T> take() {
    if constexpr (std::is_void_v<T>) {
      child.promise().take();
      return {};
    } else {
      return child.promise().take();
    }
  }
  /// Gives an exception back to the child's awaiter, or null.
  const std::exception_ptr* failure() const noexcept {
    return child.promise().failed() ? &child.promise().exception() : nullptr;
  }

 private:
  std::coroutine_handle<> child_done() noexcept override { return group_->member_done(*this, failure()); }
  GroupBase* group_ = nullptr;
};

}  // namespace spdkio::detail
