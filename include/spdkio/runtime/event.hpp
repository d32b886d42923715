// Event: a flag that tasks wait for.
#pragma once

#include <spdkio/runtime/wait_queue.hpp>

namespace spdkio {

/// A manual-reset flag. `set` lets every waiter go on and stays set. Belongs to the Thread that first waits for it; the
/// others get Misuse::wrong_thread: to signal from elsewhere send a message. Waiting ends with
/// Error(operation_canceled) when a stop is requested. Must outlive its waiters. (Not to be confused with LcoreEvent,
/// which runs a function on a core.)
class Event {
 public:
  bool is_set() const noexcept { return set_; }
  void set() {
    queue_.require_home("Event::set");
    set_ = true;
    queue_.wake_all();
  }
  void reset() {
    queue_.require_home("Event::reset");
    set_ = false;
  }

  class WaitAwaiter {
   public:
    explicit WaitAwaiter(Event& event) noexcept : event_(event), waiter_("Event") {}
    bool await_ready() const {
      event_.queue_.require_home("Event::wait");
      return event_.set_ && detail::Waiter::take_turn();
    }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> handle) {
      if (event_.set_) {
        waiter_.pass(handle, detail::promise_of(handle));
        return true;
      }
      return waiter_.enqueue(event_.queue_, handle, detail::promise_of(handle));
    }
    void await_resume() const { waiter_.throw_if_stopped(); }

   private:
    Event& event_;
    detail::Waiter waiter_;
  };
  WaitAwaiter wait() noexcept { return WaitAwaiter{*this}; }

 private:
  detail::WaitQueue queue_;
  bool set_ = false;
};

}  // namespace spdkio
