#include <spdkio/runtime/sleep.hpp>

namespace spdkio::detail {

bool SleepAwaiter::suspend(std::coroutine_handle<> waiting, PromiseBase* promise) {
  core_ = &ThreadCore::require_current("sleep_for");
  StopState* stop = promise != nullptr ? promise->stop_state() : nullptr;
  if (stop != nullptr && stop->stop_requested()) {
    stopped_ = true;
    return false;
  }
  set_waiting(waiting, promise);
  if (promise != nullptr) promise->set_waiting_on("sleep_for");
  if (duration_ <= duration_.zero()) {
    core_->make_ready_next_round(*this);
    return true;
  }
  fire = on_fire;
  core_->add_timer(*this, duration_);
  if (stop != nullptr) stop->add(*this);
  return true;
}

void SleepAwaiter::on_fire(TimerNode& node) noexcept {
  auto& self = static_cast<SleepAwaiter&>(node);
  self.unlink();
  self.core_->make_ready(self);
}

void SleepAwaiter::on_stop(StopNode& node) noexcept {
  auto& self = static_cast<SleepAwaiter&>(node);
  self.core_->cancel_timer(self);
  self.stopped_ = true;
  self.core_->make_ready(self);
}

}  // namespace spdkio::detail
