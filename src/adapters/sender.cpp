#include <spdkio/adapters/sender.hpp>

namespace spdkio::detail {

void SenderStop::begin(StopState& target) {
  target_ = &target;
  mailbox_ = ThreadCore::require_current("as_sender").mailbox();
}

void SenderStop::request() noexcept {
  requested_.store(true, std::memory_order_relaxed);
  const ThreadCore* core = ThreadCore::current();
  if (core != nullptr && core->mailbox() == mailbox_) {
    target_->request_stop();
    return;
  }
  on_its_way_.store(true, std::memory_order_relaxed);
  if (!mailbox_->push(*this)) on_its_way_.store(false, std::memory_order_relaxed);
}

bool SenderStop::end() noexcept {
  target_ = nullptr;
  waiting_ = on_its_way_.load(std::memory_order_relaxed);
  return !waiting_;
}

void SenderStop::run() noexcept {
  if (target_ != nullptr) target_->request_stop();
  arrived();
}

void SenderStop::abandon() noexcept { arrived(); }

void SenderStop::arrived() noexcept {
  on_its_way_.store(false, std::memory_order_relaxed);
  if (waiting_) go_on_(owner_);
}

bool is_stopped(const std::exception_ptr& failure) noexcept {
  return error_from(failure).code() == std::errc::operation_canceled;
}

bool ScheduleBase::push(const ThreadHandle& thread) noexcept {
  return thread.mailbox() != nullptr && thread.mailbox()->push(*this);
}

std::exception_ptr ScheduleBase::ended(const ThreadHandle& thread) noexcept {
  if (!thread) return std::make_exception_ptr(Error(Misuse::invalid_argument, "an empty ThreadHandle"));
  Error error(std::errc::no_such_process, "thread '" + thread.name() + "' has ended");
  return std::make_exception_ptr(std::move(error).with_operation("schedule"));
}

}  // namespace spdkio::detail
