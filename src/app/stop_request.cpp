#include "app/stop_request.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/runtime/promise.hpp>
#include <spdkio/runtime/stop.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <algorithm>
#include <coroutine>
#include <utility>

namespace spdkio::app {

// Listed under the mutex until either side takes it off the list: `set`, which then owes it one message, or a stop of
// the waiting task.
class StopRequest::Awaiter final : detail::Message, detail::ReadyNode, detail::StopNode {
 public:
  explicit Awaiter(StopRequest& request) noexcept : StopNode(on_stop), request_(request) {}
  bool await_ready() const noexcept { return request_.requested(); }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> waiting) {
    return suspend(waiting, detail::promise_of(waiting));
  }
  void await_resume() const {
    if (!cancelled_) return;
    throw Error(std::errc::operation_canceled, "stopped while waiting for the application to be asked to stop")
        .with_operation("App::stop_requested");
  }

  const std::shared_ptr<detail::Mailbox>& thread() const noexcept { return thread_; }
  void wake() {
    const auto thread = thread_;  // the awaiter may be gone before push returns
    [[maybe_unused]] const bool pushed = thread->push(*this);
  }

 private:
  bool suspend(std::coroutine_handle<> waiting, detail::PromiseBase* promise) {
    set_waiting(waiting, promise);
    thread_ = detail::ThreadCore::require_current("App::stop_requested").mailbox();
    detail::StopState* stop = promise != nullptr ? promise->stop_state() : nullptr;
    if (stop != nullptr && stop->stop_requested()) {
      cancelled_ = true;
      return false;
    }
    if (promise != nullptr) promise->set_waiting_on("App::stop_requested");
    {
      const std::lock_guard lock(request_.mutex_);
      if (request_.requested_) return false;
      request_.waiters_.push_back(this);
    }
    if (stop != nullptr) stop->add(*this);
    return true;
  }

  static void on_stop(StopNode& node) noexcept {
    auto& self = static_cast<Awaiter&>(node);
    {
      const std::lock_guard lock(self.request_.mutex_);
      if (std::erase(self.request_.waiters_, &self) == 0) return;  // the message is on its way
    }
    self.cancelled_ = true;
    detail::ThreadCore::current()->make_ready(self);
  }

  void run() noexcept override {
    unlink();
    detail::ThreadCore::current()->make_ready(*this);
  }
  void abandon() noexcept override {}

  StopRequest& request_;
  std::shared_ptr<detail::Mailbox> thread_;
  bool cancelled_ = false;
};

Task<> StopRequest::wait(std::shared_ptr<StopRequest> request) {
  Awaiter awaiter(*request);
  co_await awaiter;
}

void StopRequest::set() {
  std::vector<Awaiter*> waiters;
  {
    const std::lock_guard lock(mutex_);
    requested_.store(true, std::memory_order_release);
    waiters.swap(waiters_);
  }
  for (Awaiter* waiter : waiters) waiter->wake();
}

bool StopRequest::awaited_on(const detail::Mailbox& thread) const {
  const std::lock_guard lock(mutex_);
  return std::ranges::any_of(waiters_, [&](const Awaiter* waiter) { return waiter->thread().get() == &thread; });
}

}  // namespace spdkio::app
