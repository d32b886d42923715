#include <spdkio/runtime/semaphore.hpp>

namespace spdkio {

void Semaphore::release(std::size_t units) noexcept {
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
