#include <spdkio/runtime/wait_queue.hpp>

#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>

namespace spdkio::detail {

void Waiter::pass(std::coroutine_handle<> waiting, PromiseBase* promise) {
  set_waiting(waiting, promise);
  ThreadCore::require_current(what_).make_ready(*this);
}

bool Waiter::enqueue(WaitQueue& queue, std::coroutine_handle<> waiting, PromiseBase* promise) {
  core_ = &ThreadCore::require_current(what_);
  queue.adopt(*core_, what_);
  StopState* stop = promise != nullptr ? promise->stop_state() : nullptr;
  if (stop != nullptr && stop->stop_requested()) {
    stopped_ = true;
    return false;
  }
  set_waiting(waiting, promise);
  queue_ = &queue;
  previous_ = queue.tail_;
  next_ = nullptr;
  (queue.tail_ != nullptr ? queue.tail_->next_ : queue.head_) = this;
  queue.tail_ = this;
  if (stop != nullptr) stop->add(*this);
  if (promise != nullptr) promise->set_waiting_on(what_);
  return true;
}

void Waiter::throw_if_stopped() const {
  if (!stopped_) return;
  throw Error(std::errc::operation_canceled, "stopped while waiting")
      .with_operation(what_)
      .with_outcome(Outcome::never_submitted);
}

void Waiter::wake() noexcept {
  if (queue_ != nullptr) queue_->remove(*this);
  unlink();
  core_->make_ready(*this);
}

void Waiter::on_stop(StopNode& node) noexcept {
  auto& self = static_cast<Waiter&>(node);
  self.stopped_ = true;
  self.wake();
}

WaitQueue::~WaitQueue() {
  if (head_ == nullptr) return;
  log::critical("what a task waits for was destroyed: {}", head_->what_);
  for (Waiter* waiter = head_; waiter != nullptr; waiter = waiter->next_) {
    waiter->queue_ = nullptr;
    waiter->orphaned_ = true;
  }
}

void WaitQueue::adopt(ThreadCore& core, const char* what) {
  if (home_core_ == &core) return;
  require_home(what);
  home_core_ = &core;
  home_ = core.mailbox();
}

bool WaitQueue::at_home() const noexcept {
  return home_core_ == nullptr || home_core_ == ThreadCore::current() || home_->state() == ThreadState::exited;
}

void WaitQueue::require_home_ended(const char* what) const {
  if (at_home()) return;
  const ThreadCore* core = ThreadCore::current();
  throw Error(Misuse::wrong_thread, "belongs to thread '" + home_->name() + "', used on " +
                                        (core != nullptr ? "'" + core->name() + "'" : "an OS thread without one"))
      .with_operation(what);
}

bool WaitQueue::wake_one() noexcept {
  if (head_ == nullptr) return false;
  head_->wake();
  return true;
}

std::size_t WaitQueue::wake_all() noexcept {
  std::size_t count = 0;
  while (wake_one()) ++count;
  return count;
}

void WaitQueue::remove(Waiter& waiter) noexcept {
  (waiter.previous_ != nullptr ? waiter.previous_->next_ : head_) = waiter.next_;
  (waiter.next_ != nullptr ? waiter.next_->previous_ : tail_) = waiter.previous_;
}

}  // namespace spdkio::detail
