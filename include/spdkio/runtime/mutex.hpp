// Mutex: exclusive use of something across suspension points.
#pragma once

#include <spdkio/runtime/semaphore.hpp>

namespace spdkio {

/// Between tasks of one Thread, where nothing runs at the same time but much may run between two `co_await`s. FIFO; the
/// next owner resumes on its own Thread, never inside the unlock.
class Mutex {
 public:
  using Guard = SemaphorePermit;
  /// `auto guard = co_await mutex.lock();`
  Semaphore::AcquireAwaiter lock() noexcept { return semaphore_.acquire(); }
  /// For `try_lock() == true` the owner calls `unlock`.
  bool try_lock() noexcept { return semaphore_.try_acquire(); }
  void unlock() noexcept { semaphore_.release(); }
  bool locked() const noexcept { return semaphore_.available() == 0; }

 private:
  Semaphore semaphore_{1};
};

}  // namespace spdkio
