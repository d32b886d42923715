// Semaphore: a limit on how much happens at once.
#pragma once

#include <spdkio/runtime/wait_queue.hpp>

#include <cstddef>
#include <utility>

namespace spdkio {

class Semaphore;

/// Gives its units back at destruction. Move-only; belongs to the semaphore's Thread and must not outlive the
/// semaphore. Destroyed on another Thread it logs that, and the units are lost.
class [[nodiscard]] SemaphorePermit {
 public:
  SemaphorePermit() = default;
  SemaphorePermit(Semaphore& semaphore, std::size_t units) noexcept : semaphore_(&semaphore), units_(units) {}
  SemaphorePermit(SemaphorePermit&& other) noexcept
      : semaphore_(std::exchange(other.semaphore_, nullptr)), units_(other.units_) {}
  SemaphorePermit& operator=(SemaphorePermit&& other) noexcept {
    std::swap(semaphore_, other.semaphore_);
    std::swap(units_, other.units_);
    return *this;
  }
  ~SemaphorePermit() {
    if (semaphore_ != nullptr) give_back();
  }
  /// Gives the units back now. Throws Misuse::wrong_thread, and still has them.
  void release();

 private:
  void give_back() noexcept;
  Semaphore* semaphore_ = nullptr;
  std::size_t units_ = 0;
};

/// Units are handed out in the order of asking: a large request is not overtaken by small ones behind it. Belongs to
/// the Thread that first waits for it; the others get Misuse::wrong_thread. Must outlive its waiters and permits.
class Semaphore {
 public:
  explicit Semaphore(std::size_t units) noexcept : available_(units) {}
  std::size_t available() const noexcept { return available_; }

  class AcquireAwaiter : private detail::Waiter {
   public:
    AcquireAwaiter(Semaphore& semaphore, std::size_t units) noexcept
        : Waiter("Semaphore"), semaphore_(semaphore), units_(units) {}
    bool await_ready() const {
      semaphore_.queue_.require_home("Semaphore::acquire");
      return take_turn() && semaphore_.take(units_);
    }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> handle) {
      if (semaphore_.take(units_)) {
        pass(handle, detail::promise_of(handle));
        return true;
      }
      return enqueue(semaphore_.queue_, handle, detail::promise_of(handle));
    }
    SemaphorePermit await_resume() const {
      if (stopped() && !orphaned()) semaphore_.hand_out();  // whoever queued behind a large request may fit now
      throw_if_stopped();
      return {semaphore_, units_};
    }

   private:
    friend class Semaphore;
    Semaphore& semaphore_;
    std::size_t units_;
  };

  /// `auto permit = co_await semaphore.acquire();` A stop request ends the wait with Error(operation_canceled).
  AcquireAwaiter acquire(std::size_t units = 1) noexcept { return {*this, units}; }
  /// False when they are not there, or others wait for them.
  bool try_acquire(std::size_t units = 1) {
    queue_.require_home("Semaphore::try_acquire");
    return take(units);
  }
  /// For units taken with `try_acquire`, and to raise the limit.
  void release(std::size_t units = 1);

 private:
  friend class SemaphorePermit;
  bool take(std::size_t units) noexcept {
    if (available_ < units || !queue_.empty()) return false;
    available_ -= units;
    return true;
  }
  void hand_out() noexcept;
  std::size_t available_;
  detail::WaitQueue queue_;
};

inline void SemaphorePermit::release() {
  if (semaphore_ == nullptr) return;
  semaphore_->release(units_);
  semaphore_ = nullptr;
}

}  // namespace spdkio
