#include <spdkio/runtime/completion.hpp>

#include <utility>

namespace spdkio::detail {

bool CompletionBase::answered() const {
  const std::lock_guard lock(mutex_);
  return answered_;
}

bool CompletionBase::wait(std::coroutine_handle<> waiting, PromiseBase* promise) {
  auto& core = ThreadCore::require_current("completion");
  if (promise != nullptr) promise->set_waiting_on("completion");
  const std::lock_guard lock(mutex_);
  if (answered_) return false;
  if (waiter_mailbox_ != nullptr) {
    throw Error(Misuse::already_closed, "this completion is awaited already").with_operation("completion");
  }
  set_waiting(waiting, promise);
  waiter_mailbox_ = core.mailbox();
  return true;
}

void CompletionBase::wake(const std::shared_ptr<Mailbox>& mailbox) {
  keep_alive_ = shared_from_this();
  if (!mailbox->push(*this)) keep_alive_ = nullptr;
}

void CompletionBase::run() noexcept {
  const auto keep = std::exchange(keep_alive_, nullptr);
  resume_inside(handle, scope);
}

void CompletionBase::abandon() noexcept { const auto keep = std::exchange(keep_alive_, nullptr); }

}  // namespace spdkio::detail
