// Mutex: exclusive use of something across suspension points.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/runtime/semaphore.hpp>

namespace spdkio {

/// Between tasks of one Thread, where nothing runs at the same time but much may run between two `co_await`s. FIFO; the
/// next owner resumes on its own turn, never inside the unlock. Belongs to the Thread that first waits for it; the
/// others get Misuse::wrong_thread. Must outlive its waiters and guards.
class Mutex {
 public:
  using Guard = SemaphorePermit;
  /// `auto guard = co_await mutex.lock();` A stop request ends the wait with Error(operation_canceled).
  Semaphore::AcquireAwaiter lock() noexcept { return semaphore_.acquire(); }
  /// For `try_lock() == true` the owner calls `unlock`.
  bool try_lock() { return semaphore_.try_acquire(); }
  /// Throws Misuse::invalid_argument when it is not locked.
  void unlock() {
    if (!locked()) throw Error(Misuse::invalid_argument, "it is not locked").with_operation("Mutex::unlock");
    semaphore_.release();
  }
  bool locked() const noexcept { return semaphore_.available() == 0; }

 private:
  Semaphore semaphore_{1};
};

}  // namespace spdkio
