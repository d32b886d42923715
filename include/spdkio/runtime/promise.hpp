// What every coroutine of this library carries: who waits for it, where it lives, and how it is asked to stop.
#pragma once

#include <spdkio/runtime/frame_cache.hpp>
#include <spdkio/runtime/mailbox.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>

namespace spdkio::detail {

class PromiseBase;

/// Stands on the stack of the code that starts a coroutine, so that one which ends at once is not resumed recursively:
/// a loop over a million tasks that never suspend needs no stack, whatever the compiler does with tail calls.
struct StartFrame {
  bool done = false;      ///< the coroutine ended before it ever suspended
  bool detached = false;  ///< it moved to another Thread: the starter must not touch it again
};

/// Base of all promises. All fields belong to the Thread that the coroutine runs on.
class PromiseBase : protected Message {
 public:
  static void* operator new(std::size_t bytes) { return allocate_frame(bytes); }
  static void operator delete(void* frame, std::size_t bytes) noexcept { free_frame(frame, bytes); }

  StopState* stop_state() const noexcept { return stop_; }
  void set_stop_state(StopState* stop) noexcept { stop_ = stop; }
  PromiseBase* parent() const noexcept { return parent_; }

  /// What the coroutine is suspended on, for the debug listing: a literal such as "read" or "sleep_for".
  void set_waiting_on(const char* what) noexcept { waiting_on_ = what; }
  /// The innermost wait below this coroutine.
  const char* waiting_on() const noexcept {
    const PromiseBase* promise = this;
    while (promise->child_ != nullptr) promise = promise->child_;
    return promise->waiting_on_;
  }

  /// Starts `self` below the coroutine of `parent` (null: a root) and says if it suspended; when it did, `continuation`
  /// is resumed at its end, on the Thread where it was started.
  bool start(std::coroutine_handle<> self, PromiseBase* parent, std::coroutine_handle<> continuation) {
    parent_ = parent;
    continuation_ = continuation;
    home_ = ThreadCore::current();
    if (parent != nullptr) {
      if (stop_ == nullptr) stop_ = parent->stop_;
      parent->child_ = this;
    }
    StartFrame frame;
    start_frame_ = &frame;
    self.resume();
    if (frame.done) {
      if (parent != nullptr) parent->child_ = nullptr;
      return false;
    }
    if (!frame.detached) start_frame_ = nullptr;
    return true;
  }

  /// At the end of the coroutine: what to resume next.
  std::coroutine_handle<> finish() noexcept {
    if (start_frame_ != nullptr) {
      start_frame_->done = true;
      return std::noop_coroutine();
    }
    if (home_ != ThreadCore::current()) [[unlikely]] {
      go_home();
      return std::noop_coroutine();
    }
    if (parent_ != nullptr) parent_->child_ = nullptr;
    return continuation_;
  }

  /// Before this coroutine is handed to another Thread: nobody on this stack may touch it, or what awaits it, again.
  void detach_from_starters() noexcept {
    for (PromiseBase* promise = this; promise != nullptr && promise->start_frame_ != nullptr; promise = promise->parent_) {
      promise->start_frame_->detached = true;
      promise->start_frame_ = nullptr;
    }
  }

 protected:
  PromiseBase() = default;
  ~PromiseBase() = default;
  void run() noexcept override;
  void abandon() noexcept override;

 private:
  void go_home() noexcept;

  std::coroutine_handle<> continuation_;
  PromiseBase* parent_ = nullptr;
  PromiseBase* child_ = nullptr;
  StartFrame* start_frame_ = nullptr;
  ThreadCore* home_ = nullptr;
  StopState* stop_ = nullptr;
  const char* waiting_on_ = "not started";
};

/// The promise behind a handle, for awaiters that care about stop requests; null for coroutines of other libraries.
template <class Promise>
PromiseBase* promise_of(std::coroutine_handle<Promise> handle) noexcept {
  if constexpr (std::derived_from<Promise, PromiseBase>) {
    return &handle.promise();
  } else {
    return nullptr;
  }
}

}  // namespace spdkio::detail
