#include <spdkio/runtime/promise.hpp>

#include <spdkio/base/log.hpp>

#include <utility>

#include "runtime/visit.hpp"

namespace spdkio::detail {

const char* PromiseBase::waiting_on() const noexcept {
  const PromiseBase* promise = this;
  while (promise->child_ != nullptr) {
    promise = promise->child_;
    if (promise->visit_ != nullptr && promise->visit_->away()) return "another thread";
  }
  return promise->waiting_on_;
}

void PromiseBase::depart(const std::shared_ptr<Mailbox>& to) {
  if (visit_ == nullptr) {
    visit_ = new Visit(home_, stop_);
    stop_ = &visit_->stop();
  }
  visit_->depart(to);
  for (PromiseBase* promise = this; promise != nullptr && promise->start_frame_ != nullptr;
       promise = promise->parent_) {
    promise->start_frame_->detached = true;
    promise->start_frame_ = nullptr;
  }
}

void PromiseBase::arrive() noexcept { visit_->arrive(); }

void PromiseBase::end_visit() noexcept {
  stop_ = nullptr;
  std::exchange(visit_, nullptr)->end();
}

std::coroutine_handle<> PromiseBase::go_home() noexcept {
  if (visit_ != nullptr) visit_->leave();
  ErrorScope::set_current(nullptr);
  if (home_ == nullptr) {  // awaited by a coroutine that runs on no Thread: it goes on wherever we are
    came_home();
    return continuation_;
  }
  const auto mailbox = visit_ != nullptr ? visit_->home_mailbox() : home_->mailbox();
  if (!mailbox->push(*this)) abandon();  // if it was taken, this frame may be gone by now
  return std::noop_coroutine();
}

void PromiseBase::run() noexcept {
  came_home();
  resume_inside(continuation_, parent_);  // which may be the end of this
}

void PromiseBase::abandon() noexcept {
  log::error("a task ended, but the thread that awaited it had ended before: its caller is lost");
}

}  // namespace spdkio::detail
