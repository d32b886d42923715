// FdDriver: a Thread as one descriptor of somebody else's event loop, and operations that end with a callback.
#pragma once

#include <spdkio/adapters/detached.hpp>
#include <spdkio/base/error.hpp>
#include <spdkio/runtime/thread.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>

namespace spdkio {

/// What a callback is given for an awaitable of T: `std::expected<T, Error>`, with a std::reference_wrapper for
/// references.
template <class T>
using CallbackResult =
    Result<std::conditional_t<std::is_reference_v<T>, std::reference_wrapper<std::remove_reference_t<T>>, T>>;

namespace detail {

/// Shared by a driver and its operations.
struct DriverState {
  StopState stop;
  std::size_t in_flight = 0;
  std::uint64_t dispatches = 0;
};

void log_callback_threw(std::source_location where) noexcept;
/// A destructor could not close.
void log_driver_left(std::size_t in_flight, const Error& why) noexcept;

template <class T, class F>
class CallbackSink {
 public:
  CallbackSink(std::shared_ptr<DriverState> state, F done, std::source_location where)
      : state_(std::move(state)), done_(std::move(done)), where_(where) {}
  template <class... U>
  void set(U&&... value) {
    slot_.emplace(std::in_place, std::forward<U>(value)...);
  }
  void set_exception(const std::exception_ptr& failure) noexcept { slot_.emplace(std::unexpect, error_from(failure)); }
  void deliver() && noexcept {
    --state_->in_flight;
    try {
      std::invoke(std::move(done_), std::move(*slot_));
    } catch (...) {
      log_callback_threw(where_);
    }
  }

 private:
  std::shared_ptr<DriverState> state_;
  F done_;
  std::source_location where_;
  std::optional<CallbackResult<T>> slot_;
};

}  // namespace detail

/// Drives a Thread that is attached to the loop's OS thread, from any loop that can wait for a descriptor (epoll, poll,
/// select, io_uring, GLib, ...): wait until `fd()` is readable, level-triggered or armed again each time, then call
/// `dispatch()`. While there is nothing to do the descriptor is not readable, so the loop sleeps; messages from other
/// OS threads, timers, completions and operations started between two calls make it readable.
///
/// Everything belongs to the Thread's OS thread. The Thread must outlive the driver, and must not be moved meanwhile.
class FdDriver {
 public:
  /// Throws Misuse::wrong_thread on another OS thread, Misuse::invalid_argument for a Thread on a reactor, and what the
  /// system says when it can't make a timer.
  explicit FdDriver(Thread& thread);
  FdDriver(const FdDriver&) = delete;
  FdDriver& operator=(const FdDriver&) = delete;
  /// As `close`. On another OS thread, or inside the Thread, that is not possible: what is in flight then goes on by
  /// itself, and the log says so.
  ~FdDriver();

  Thread& thread() const noexcept { return thread_; }
  /// Owned by the Thread; do not read it or close it.
  int fd() const noexcept { return fd_; }

  /// Polls the Thread while it has something to do, a bounded number of rounds so that the rest of the loop has its
  /// turn. Returns the amount of work done. Nothing happens after the Thread was closed. Misuse::wrong_thread
  /// elsewhere, Misuse::would_block inside the Thread.
  std::size_t dispatch();

  /// Starts `awaitable` (an operation, a Task, a combinator) and calls `done(CallbackResult<T>)` when it has ended: on
  /// this OS thread, inside the Thread as a task is, never before `start` has returned. What leaves `done` as an
  /// exception is logged. Buffers and channels must stay until then. To be able to cancel it, start
  /// `with_stop_token(token, awaitable)`; it fails with operation_canceled then, and its outcome() says more.
  ///
  /// One coroutine frame, from the frame cache, and no heap allocation. Misuse::wrong_thread on another OS thread: send
  /// there first.
  template <Awaitable A, class F>
    requires std::invocable<F, CallbackResult<AwaitResult<A>>>
  void start(A awaitable, F done, std::source_location where = std::source_location::current()) {
    check("FdDriver::start");
    auto task = detail::run_detached(std::move(awaitable),
                                     detail::CallbackSink<AwaitResult<A>, F>(state_, std::move(done), where));
    launch(task, "callback", where);
  }

  /// Operations whose callback was not called yet.
  std::size_t in_flight() const noexcept { return state_->in_flight; }
  /// How often `dispatch` was called: an idle loop does not increase it.
  std::uint64_t dispatches() const noexcept { return state_->dispatches; }

  /// Asks the operations in flight to stop and polls until they have ended and their callbacks were called. Later ones
  /// are refused with Misuse::already_closed. Does nothing the second time.
  void close();

  // ---- for adapters that end operations in another way
  /// Throws Misuse::wrong_thread, Misuse::already_closed.
  void check(const char* operation) const;
  /// The Sink of `task` counts `in_flight` down. `operation` has static storage.
  template <class Sink>
  void launch(detail::Detached<Sink>& task, const char* operation, std::source_location where) {
    task.launch(operation, &state_->stop, where);
    ++state_->in_flight;
  }
  const std::shared_ptr<detail::DriverState>& state() const noexcept { return state_; }

 private:
  Thread& thread_;
  int fd_;
  bool closed_ = false;
  std::shared_ptr<detail::DriverState> state_;
};

}  // namespace spdkio
