// What every coroutine of this library carries: who waits for it, where it lives, and how it is asked to stop.
#pragma once

#include <spdkio/runtime/frame_cache.hpp>
#include <spdkio/runtime/mailbox.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <memory>

namespace spdkio::detail {

class Visit;

/// Stands on the stack of the code that starts a coroutine, so that one which ends at once is not resumed recursively:
/// a loop over a million tasks that never suspend needs no stack, whatever the compiler does with tail calls.
struct StartFrame {
  bool done = false;      ///< the coroutine ended before it ever suspended
  bool detached = false;  ///< it moved to another Thread: the starter must not touch it again
};

/// Base of all promises. All fields belong to the Thread that the coroutine runs on.
class PromiseBase : public ErrorScope, protected Message {
 public:
  static void* operator new(std::size_t bytes) { return allocate_frame(bytes); }
  static void operator delete(void* frame, std::size_t bytes) noexcept { free_frame(frame, bytes); }

  StopState* stop_state() const noexcept { return stop_; }
  void set_stop_state(StopState* stop) noexcept { stop_ = stop; }
  PromiseBase* parent() const noexcept { return parent_; }
  bool started() const noexcept { return static_cast<bool>(continuation_); }

  /// What the coroutine is suspended on, for the debug listing: a literal such as "read" or "sleep_for".
  void set_waiting_on(const char* what) noexcept { waiting_on_ = what; }
  /// The coroutine that it waits for; null: none.
  void set_child(PromiseBase* child) noexcept { child_ = child; }
  /// The innermost wait below this coroutine, as far as it runs on this Thread.
  const char* waiting_on() const noexcept;

  /// Starts `self` below the coroutine of `parent` (null: a root) and says if it suspended; when it did, `continuation`
  /// is resumed at its end, on the Thread where it was started.
  bool start(std::coroutine_handle<> self, PromiseBase* parent, std::coroutine_handle<> continuation) {
    parent_ = parent;
    continuation_ = continuation;
    ThreadCore* const core = ThreadCore::current();
    home_ = core;
    set_outer_scope(parent);
    if (parent != nullptr) {
      if (stop_ == nullptr) stop_ = parent->stop_;
      parent->child_ = this;
    }
    if (core != nullptr && !core->enter_nested()) [[unlikely]] {
      waiting_on_ = "ready";
      turn_.set_waiting(self, this);
      core->make_ready(turn_);
      return true;
    }
    StartFrame frame;
    start_frame_ = &frame;
    resume_inside(self, this);
    if (core != nullptr) core->leave_nested();
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
    ThreadCore* const core = ThreadCore::current();
    if (home_ != core) [[unlikely]]
      return go_home();
    came_home();
    ErrorScope::set_current(parent_);
    // Without optimisation a transfer to the awaiter is a nested call: bounded, as a start is.
    if (core != nullptr && !core->take_inline_turn()) [[unlikely]] {
      turn_.set_waiting(continuation_, parent_);
      core->make_ready(turn_);
      return std::noop_coroutine();
    }
    return continuation_;
  }

  /// Before the coroutine is handed to another Thread: nobody on this stack may touch it, or what awaits it, again.
  /// Stop requests of the Thread that it leaves are from now on sent after it.
  void depart(const std::shared_ptr<Mailbox>& to);
  /// On the Thread that it was handed to, or on the one that it could not leave.
  void arrive() noexcept;

 protected:
  PromiseBase() = default;
  ~PromiseBase() {
    if (has_spans()) [[unlikely]]
      release_spans();
  }
  void run() noexcept override;
  void abandon() noexcept override;

 private:
  std::coroutine_handle<> go_home() noexcept;
  void came_home() noexcept {
    if (visit_ != nullptr) [[unlikely]]
      end_visit();
    if (parent_ != nullptr) parent_->child_ = nullptr;
  }
  void end_visit() noexcept;

  std::coroutine_handle<> continuation_;
  PromiseBase* parent_ = nullptr;
  PromiseBase* child_ = nullptr;
  StartFrame* start_frame_ = nullptr;
  ThreadCore* home_ = nullptr;
  StopState* stop_ = nullptr;
  Visit* visit_ = nullptr;  // from the first move to another Thread until the end at home
  ReadyNode turn_;
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
