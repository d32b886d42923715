// as_sender and ThreadScheduler: awaitables and Threads in the shape of std::execution (C++26, P2300).
//
// Needs no library; the tags come from the one there is, see execution.hpp.
#pragma once

#include <spdkio/adapters/detached.hpp>
#include <spdkio/adapters/execution.hpp>
#include <spdkio/base/error.hpp>
#include <spdkio/runtime/group.hpp>
#include <spdkio/runtime/thread.hpp>

#include <atomic>
#include <concepts>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <source_location>
#include <stop_token>
#include <system_error>
#include <type_traits>
#include <utility>

namespace spdkio {

namespace detail {

template <class Token, class F>
struct StopCallbackOf {
  using type = typename Token::template callback_type<F>;
};
template <class F>
struct StopCallbackOf<std::stop_token, F> {
  using type = std::stop_callback<F>;
};

template <class Receiver>
using StopTokenOf = execution::stop_token_of_t<decltype(execution::get_env(std::declval<const Receiver&>()))>;

template <class Receiver>
auto stop_token_of(const Receiver& receiver) noexcept {
  return execution::get_stop_token(execution::get_env(receiver));
}

template <class T>
struct ValueSignature {
  using type = execution::set_value_t(T);
};
template <>
struct ValueSignature<void> {
  using type = execution::set_value_t();
};

/// Brings the receiver's stop request, from any OS thread, to a StopState of the operation's Thread. Lives in the
/// operation state: the request's message may still be on its way when the operation ends, so the end waits for it.
class SenderStop : private Message {
 public:
  /// `go_on` is called on the Thread when an end that had to wait may be told.
  SenderStop(void* owner, void (*go_on)(void*) noexcept) noexcept : owner_(owner), go_on_(go_on) {}
  void begin(StopState& target);
  /// Any OS thread.
  void request() noexcept;
  /// After no more `request` can come. True: tell the end now; false: `go_on` will be called.
  bool end() noexcept;
  bool requested() const noexcept { return requested_.load(std::memory_order_relaxed); }

 private:
  void run() noexcept override;
  void abandon() noexcept override;
  void arrived() noexcept;
  void* owner_;
  void (*go_on_)(void*) noexcept;
  std::shared_ptr<Mailbox> mailbox_;
  StopState* target_ = nullptr;
  std::atomic<bool> requested_ = false;
  std::atomic<bool> on_its_way_ = false;
  bool waiting_ = false;
};

/// Whether a failure is the answer to a stop request.
bool is_stopped(const std::exception_ptr& failure) noexcept;

template <class A, class Receiver>
class AwaitableOperation {
  using T = AwaitResult<A>;
  using Token = StopTokenOf<Receiver>;
  struct OnStop {
    SenderStop* stop;
    void operator()() const noexcept { stop->request(); }
  };
  class Sink {
   public:
    explicit Sink(AwaitableOperation& operation) noexcept : operation_(&operation) {}
    template <class... U>
    void set(U&&... value) {
      if constexpr (!std::is_void_v<T>) operation_->value_.emplace(std::forward<U>(value)...);
    }
    void set_exception(const std::exception_ptr& failure) noexcept { operation_->failure_ = failure; }
    void deliver() && noexcept { operation_->ended(); }

   private:
    AwaitableOperation* operation_;
  };

 public:
  using operation_state_concept = execution::operation_state_t;

  AwaitableOperation(A awaitable, Receiver receiver, std::source_location where)
      : awaitable_(std::move(awaitable)),
        receiver_(std::move(receiver)),
        where_(where),
        stop_(this, [](void* self) noexcept { static_cast<AwaitableOperation*>(self)->complete(); }) {}
  AwaitableOperation(const AwaitableOperation&) = delete;
  AwaitableOperation& operator=(const AwaitableOperation&) = delete;

  void start() & noexcept {
    try {
      auto task = run_detached(std::move(awaitable_), Sink(*this));
      auto& promise = task.promise();
      task.launch("sender", nullptr, where_);
      stop_.begin(promise.stop());
    } catch (...) {
      std::move(receiver_).set_error(std::current_exception());
      return;
    }
    callback_.emplace(stop_token_of(receiver_), OnStop{&stop_});
  }

 private:
  void ended() noexcept {
    callback_.reset();
    if (stop_.end()) complete();
  }
  // The receiver may destroy this object: what it is given is no part of it any more.
  void complete() noexcept {
    Receiver receiver(std::move(receiver_));
    if (failure_) {
      auto failure = std::move(failure_);
      if (stop_.requested() && is_stopped(failure)) {
        std::move(receiver).set_stopped();
      } else {
        std::move(receiver).set_error(std::move(failure));
      }
    } else if constexpr (std::is_void_v<T>) {
      std::move(receiver).set_value();
    } else if constexpr (std::is_reference_v<T>) {
      std::move(receiver).set_value(static_cast<T>(value_->get()));
    } else {
      T value(std::move(*value_));
      std::move(receiver).set_value(std::move(value));
    }
  }

  A awaitable_;
  Receiver receiver_;
  std::source_location where_;
  SenderStop stop_;
  std::optional<Stored<T>> value_;
  std::exception_ptr failure_;
  std::optional<typename StopCallbackOf<Token, OnStop>::type> callback_;
};

template <class A>
class AwaitableSender {
 public:
  using sender_concept = execution::sender_t;
  using completion_signatures =
      execution::completion_signatures<typename ValueSignature<AwaitResult<A>>::type,
                                       execution::set_error_t(std::exception_ptr), execution::set_stopped_t()>;

  AwaitableSender(A awaitable, std::source_location where) : awaitable_(std::move(awaitable)), where_(where) {}
  AwaitableSender(AwaitableSender&&) = default;
  AwaitableSender& operator=(AwaitableSender&&) = delete;

  template <class Receiver>
  AwaitableOperation<A, Receiver> connect(Receiver receiver) && {
    return AwaitableOperation<A, Receiver>(std::move(awaitable_), std::move(receiver), where_);
  }

 private:
  A awaitable_;
  std::source_location where_;
};

/// Told on the Thread; or, when it has ended, wherever that is found out.
class ScheduleBase : protected Message {
 protected:
  ScheduleBase() = default;
  ~ScheduleBase() = default;
  /// False: the Thread has ended.
  bool push(const ThreadHandle& thread) noexcept;
  static std::exception_ptr ended(const ThreadHandle& thread) noexcept;
};

template <class Receiver>
class ScheduleOperation final : private ScheduleBase {
 public:
  using operation_state_concept = execution::operation_state_t;
  ScheduleOperation(ThreadHandle thread, Receiver receiver)
      : thread_(std::move(thread)), receiver_(std::move(receiver)) {}
  ScheduleOperation(const ScheduleOperation&) = delete;
  void start() & noexcept {
    if (!push(thread_)) abandon();
  }

 private:
  void run() noexcept override {
    if (stop_token_of(receiver_).stop_requested()) {
      std::move(receiver_).set_stopped();
    } else {
      std::move(receiver_).set_value();
    }
  }
  void abandon() noexcept override { std::move(receiver_).set_error(ended(thread_)); }
  ThreadHandle thread_;
  Receiver receiver_;
};

}  // namespace detail

/// A Thread as a scheduler. A small copyable value, as the ThreadHandle that it is made of. `schedule()` gives a sender
/// that completes on the Thread, with set_stopped when a stop was requested by then, and with an Error(ESRCH) when the
/// Thread has ended, on whatever OS thread that is found out. Starting it allocates nothing and may be done on any OS
/// thread.
class ThreadScheduler {
 public:
  using scheduler_concept = execution::scheduler_t;
  explicit ThreadScheduler(ThreadHandle thread) noexcept : thread_(std::move(thread)) {}

  struct Env {
    ThreadHandle thread;
    ThreadScheduler query(execution::get_completion_scheduler_t<execution::set_value_t>) const noexcept {
      return ThreadScheduler(thread);
    }
  };
  class Sender {
   public:
    using sender_concept = execution::sender_t;
    using completion_signatures =
        execution::completion_signatures<execution::set_value_t(), execution::set_error_t(std::exception_ptr),
                                         execution::set_stopped_t()>;
    explicit Sender(ThreadHandle thread) noexcept : thread_(std::move(thread)) {}
    template <class Receiver>
    detail::ScheduleOperation<Receiver> connect(Receiver receiver) const {
      return detail::ScheduleOperation<Receiver>(thread_, std::move(receiver));
    }
    Env get_env() const noexcept { return Env{thread_}; }

   private:
    ThreadHandle thread_;
  };
  Sender schedule() const noexcept { return Sender(thread_); }

  const ThreadHandle& thread() const noexcept { return thread_; }
  bool operator==(const ThreadScheduler&) const = default;

 private:
  ThreadHandle thread_;
};

/// A sender of what `awaitable` (an operation, a Task, a combinator) gives. Connected once, as an rvalue. `start` is
/// called on the Thread that the awaitable belongs to, which must have been reached by then, for example with
/// `schedule(ThreadScheduler(handle)) | let_value(...)`; elsewhere it completes with an Error(wrong_thread). It
/// completes on that Thread:
///
/// - `set_value(T)`, or `set_value()`;
/// - `set_stopped()` when the receiver's token was asked to stop, from any OS thread, and the operation ended because
/// of
///   it. A stop is a request: the device is asked to abort and the real end is awaited, so success is possible;
/// - `set_error(std::exception_ptr)` with the Error, or whatever a Task threw.
///
/// set_stopped does not say what the device did; `as_sender(as_result(op))` keeps the Error, as a value. The operation
/// state must stay until the completion, as the standard says. One coroutine frame from the frame cache, and no heap
/// allocation.
template <Awaitable A>
detail::AwaitableSender<A> as_sender(A awaitable, std::source_location where = std::source_location::current()) {
  return detail::AwaitableSender<A>(std::move(awaitable), where);
}

}  // namespace spdkio
