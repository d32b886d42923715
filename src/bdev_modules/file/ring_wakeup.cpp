#include "bdev_modules/file/ring_wakeup.hpp"

#include <spdkio/base/error.hpp>

#include <sys/eventfd.h>

#include <atomic>
#include <cerrno>

namespace spdkio::bdev::file {

RingWakeup::RingWakeup(io_uring& ring) : ring_(ring), event_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (!event_) throw Error::from_errno(errno, "cannot create an event descriptor").with_operation("eventfd");
  if (const int result = io_uring_register_eventfd(&ring_, event_.get()); result != 0) {
    throw Error::from_errno(-result, "cannot connect an event descriptor").with_operation("io_uring_register_eventfd");
  }
}

void RingWakeup::silence() noexcept {
  if (ring_.cq.kflags == nullptr) return;  // before 5.8 they can't be switched off
  if (::eventfd_write(event_.get(), 1) == 0) io_uring_cq_eventfd_toggle(&ring_, false);
}

bool RingWakeup::arm() noexcept {
  busy_rounds_ = 0;
  idle_rounds_ = rounds_to_arm - rounds_to_arm_again;  // wraps, and comes back
  eventfd_t ignored = 0;
  ::eventfd_read(event_.get(), &ignored);
  if (ring_.cq.kflags != nullptr) io_uring_cq_eventfd_toggle(&ring_, true);
  // What completed before the kernel saw that is found by the second look.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return true;
}

}  // namespace spdkio::bdev::file
