#include <spdkio/runtime/semaphore.hpp>

#include <spdkio/base/log.hpp>

namespace spdkio {

void SemaphorePermit::give_back() noexcept {
  if (!semaphore_->queue_.at_home()) {
    log::critical("{} unit(s) of a Semaphore are lost: a permit was destroyed on another thread than the semaphore's",
                  units_);
    return;
  }
  semaphore_->available_ += units_;
  semaphore_->hand_out();
}

void Semaphore::release(std::size_t units) {
  queue_.require_home("Semaphore::release");
  available_ += units;
  hand_out();
}

void Semaphore::hand_out() noexcept {
  while (!queue_.empty()) {
    auto& first = static_cast<AcquireAwaiter&>(*queue_.front());
    if (available_ < first.units_) return;
    available_ -= first.units_;
    queue_.wake_one();
  }
}

}  // namespace spdkio
