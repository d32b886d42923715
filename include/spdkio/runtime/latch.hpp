// Latch: waits until a number of things have happened.
#pragma once

#include <spdkio/runtime/event.hpp>

#include <cstddef>

namespace spdkio {

/// Counts down to zero once; waiters go on at zero. Belongs to the Thread that first waits for it; the others get
/// Misuse::wrong_thread. A stop request ends a wait with Error(operation_canceled). Must outlive its waiters.
class Latch {
 public:
  explicit Latch(std::size_t count) noexcept : count_(count) {
    if (count == 0) event_.set();
  }
  /// Throws Misuse::invalid_argument when it would go below zero.
  void count_down(std::size_t by = 1);
  std::size_t count() const noexcept { return count_; }
  Event::WaitAwaiter wait() noexcept { return event_.wait(); }

 private:
  std::size_t count_;
  Event event_;
};

}  // namespace spdkio
