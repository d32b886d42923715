// completion<T>(): turns a C-style callback into something that can be awaited.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/runtime/promise.hpp>
#include <spdkio/runtime/task.hpp>

#include <coroutine>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

namespace spdkio {

namespace detail {

/// Shared by the two ends of a completion, which may be on different OS threads.
class CompletionBase : public std::enable_shared_from_this<CompletionBase>, private Message, private ReadyNode {
 public:
  virtual ~CompletionBase() = default;
  bool answered() const;
  /// False: answered already, do not suspend. Throws Misuse::already_closed when somebody waits already.
  bool wait(std::coroutine_handle<> waiting, PromiseBase* promise);

 protected:
  /// Runs `store` unless it was answered before, then wakes the waiter.
  template <class F>
  bool answer(F&& store) {
    std::shared_ptr<Mailbox> mailbox;
    {
      const std::lock_guard lock(mutex_);
      if (answered_) return false;
      store();
      answered_ = true;
      mailbox = waiter_mailbox_;
    }
    if (mailbox != nullptr) wake(mailbox);
    return true;
  }

 private:
  void wake(const std::shared_ptr<Mailbox>& mailbox);
  void run() noexcept override;
  void abandon() noexcept override;

  mutable std::mutex mutex_;
  bool answered_ = false;
  std::shared_ptr<Mailbox> waiter_mailbox_;
  std::shared_ptr<CompletionBase> keep_alive_;
};

template <class T>
  requires(!std::is_reference_v<T>)
class CompletionState final : public CompletionBase {
 public:
  template <class... U>
  bool set_value(U&&... value) {
    return answer([&] { result_.emplace(std::in_place, std::forward<U>(value)...); });
  }
  bool set_error(Error error) {
    return answer([&] { result_.emplace(std::unexpect, std::move(error)); });
  }
  Result<T> take() {
    if (!result_) {
      Error twice(Misuse::already_closed, "this completion was awaited before");
      return std::unexpected(std::move(twice).with_operation("completion"));
    }
    auto result = std::move(*result_);
    result_.reset();
    return result;
  }

 private:
  std::optional<Result<T>> result_;
};

}  // namespace detail

/// The callback's end: answers once, from any OS thread. Move-only. Dropping it unanswered answers with
/// Error(Misuse::callback_threw, "... dropped without an answer"), so that the waiter never hangs.
template <class T>
class Completer {
 public:
  explicit Completer(std::shared_ptr<detail::CompletionState<T>> state) noexcept : state_(std::move(state)) {}
  Completer(Completer&&) noexcept = default;
  Completer& operator=(Completer&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~Completer() {
    if (state_ != nullptr) state_->set_error(Error(Misuse::callback_threw, "completion dropped without an answer"));
  }

  /// False when it was answered before; the second answer is ignored.
  template <class... U>
  bool set_value(U&&... value) {
    return state_ != nullptr && state_->set_value(std::forward<U>(value)...);
  }
  bool set_error(Error error) { return state_ != nullptr && state_->set_error(std::move(error)); }

  /// For `void*` context arguments: gives the completer up to the C side, which answers through `from_context`, once.
  void* into_context() && { return new Completer(std::move(*this)); }
  static Completer from_context(void* context) {
    const std::unique_ptr<Completer> owned(static_cast<Completer*>(context));
    return std::move(*owned);
  }

 private:
  std::shared_ptr<detail::CompletionState<T>> state_;
};

/// The awaiting end: `co_await` it once, on one Thread; resumes there. A stop request does not end the wait, since the
/// callback will still come.
template <class T>
class CompletionAwaitable {
 public:
  explicit CompletionAwaitable(std::shared_ptr<detail::CompletionState<T>> state) noexcept : state_(std::move(state)) {}
  CompletionAwaitable(CompletionAwaitable&&) noexcept = default;
  CompletionAwaitable& operator=(CompletionAwaitable&&) noexcept = default;
  bool await_ready() const { return state_->answered(); }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle) {
    return state_->wait(handle, detail::promise_of(handle));
  }
  T await_resume() {
    auto result = state_->take();
    if (!result) throw result.error().with_current_context();
    if constexpr (!std::is_void_v<T>) return std::move(*result);
  }
  Result<T> resume_result() { return state_->take(); }

 private:
  std::shared_ptr<detail::CompletionState<T>> state_;
};

template <class T>
struct Completion {
  Completer<T> completer;
  CompletionAwaitable<T> awaitable;
};

/// A connected pair. One allocation.
///
///     auto [completer, done] = completion<int>();
///     some_c_call(args, on_done, std::move(completer).into_context());
///     int value = co_await std::move(done);
template <class T = void>
Completion<T> completion() {
  auto state = std::make_shared<detail::CompletionState<T>>();
  return {Completer<T>{state}, CompletionAwaitable<T>{state}};
}

}  // namespace spdkio
