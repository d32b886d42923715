#include <spdkio/runtime/promise.hpp>

#include <spdkio/base/log.hpp>

namespace spdkio::detail {

void PromiseBase::go_home() noexcept {
  if (home_ == nullptr) {  // awaited by a coroutine that runs on no Thread: it goes on wherever we are
    continuation_.resume();
    return;
  }
  const auto mailbox = home_->mailbox();
  if (!mailbox->push(*this)) abandon();
}

void PromiseBase::run() noexcept {
  if (parent_ != nullptr) parent_->child_ = nullptr;
  continuation_.resume();
}

void PromiseBase::abandon() noexcept {
  log::error("a task ended, but the thread that awaited it had ended before: its caller is lost");
}

}  // namespace spdkio::detail
