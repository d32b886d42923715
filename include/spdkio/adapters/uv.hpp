// UvDriver: a Thread in a libuv loop. Needs libuv 1.x.
#pragma once

#include <spdkio/adapters/fd_driver.hpp>
#include <spdkio/base/error.hpp>
#include <spdkio/runtime/thread.hpp>

#include <uv.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <source_location>
#include <utility>

namespace spdkio {

/// Lets a libuv loop drive a Thread that is attached to the OS thread on which the loop runs. While there is nothing to
/// do the loop sleeps in the kernel.
///
///     UvDriver driver{uv_default_loop(), storage};
///     driver.start(disk.read(channel, buffer, ByteOffset{0}), [](Result<> read) { ... });
///     uv_run(uv_default_loop(), UV_RUN_DEFAULT);
///
/// Operations in flight keep the loop alive, as an active handle of libuv does; other tasks of the Thread run along,
/// but do not. Everything belongs to the loop's OS thread. Loop and Thread must outlive the driver, and the Thread must
/// not be moved. As every handle of libuv, the driver's is closed by the loop: after the driver was destroyed, run the
/// loop once more before uv_loop_close.
class UvDriver {
 public:
  /// Throws as FdDriver does, and what uv_poll_init says.
  UvDriver(uv_loop_t* loop, Thread& thread) : state_(std::make_shared<State>(thread)) {
    auto handle = std::make_unique<Handle>();
    if (const int code = uv_poll_init(loop, &handle->poll, state_->driver.fd()); code != 0) throw failure(code);
    handle->poll.data = state_.get();
    state_->handle = handle.release();  // from now on it is freed by close_handle
    if (const int code = uv_poll_start(&state_->handle->poll, UV_READABLE, on_readable); code != 0) {
      close_handle();
      throw failure(code);
    }
    uv_unref(base());
  }
  UvDriver(const UvDriver&) = delete;
  UvDriver& operator=(const UvDriver&) = delete;
  /// As `close`; what is wrong with that is logged, and the handle is then left alone.
  ~UvDriver() {
    try {
      close();
    } catch (const Error& error) {
      detail::log_driver_left(in_flight(), error);
      new std::shared_ptr<State>(state_);  // the loop still knows it
    }
  }

  /// See FdDriver::start. The callback is called by the loop.
  template <Awaitable A, class F>
    requires std::invocable<F, CallbackResult<AwaitResult<A>>>
  void start(A awaitable, F done, std::source_location where = std::source_location::current()) {
    state_->driver.start(
        std::move(awaitable),
        [state = state_, done = std::move(done)](CallbackResult<AwaitResult<A>> result) mutable {
          if (state->driver.in_flight() == 0 && state->handle != nullptr) uv_unref(state->base());
          std::invoke(std::move(done), std::move(result));
        },
        where);
    uv_ref(state_->base());
  }

  Thread& thread() const noexcept { return state_->driver.thread(); }
  std::size_t in_flight() const noexcept { return state_->driver.in_flight(); }
  /// How often the loop called into the Thread: an idle one does not.
  std::uint64_t dispatches() const noexcept { return state_->driver.dispatches(); }

  /// Asks the operations in flight to stop, polls until they have really ended and their callbacks were called, and
  /// begins to close the handle. Does nothing the second time.
  void close() {
    if (state_->handle == nullptr) return;
    state_->driver.close();
    close_handle();
  }

 private:
  struct Handle {
    uv_poll_t poll;
  };
  struct State : std::enable_shared_from_this<State> {
    explicit State(Thread& thread) : driver(thread) {}
    uv_handle_t* base() const noexcept { return reinterpret_cast<uv_handle_t*>(&handle->poll); }
    FdDriver driver;
    Handle* handle = nullptr;
  };

  uv_handle_t* base() const noexcept { return state_->base(); }
  void close_handle() noexcept {
    uv_poll_stop(&state_->handle->poll);
    state_->handle->poll.data = nullptr;
    uv_close(base(), [](uv_handle_t* closed) { delete reinterpret_cast<Handle*>(closed); });
    state_->handle = nullptr;
  }
  static void on_readable(uv_poll_t* poll, int, int) noexcept {
    // A callback may destroy the driver.
    const auto state = static_cast<State*>(poll->data)->shared_from_this();
    try {
      state->driver.dispatch();
      if (state->driver.thread().state() == ThreadState::exited && state->handle != nullptr) uv_poll_stop(poll);
    } catch (const Error& error) {
      uv_poll_stop(poll);
      detail::log_driver_left(state->driver.in_flight(), error);
    }
  }
  static Error failure(int code) {
    return Error::from_errno(-code, "cannot watch a thread").with_operation("UvDriver");
  }

  std::shared_ptr<State> state_;
};

}  // namespace spdkio
