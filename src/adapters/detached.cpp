#include <spdkio/adapters/detached.hpp>

#include <spdkio/base/error.hpp>

#include <system_error>

namespace spdkio::detail {

void DetachedPromise::launch(std::coroutine_handle<> self, const char* operation, StopState* parent,
                             std::source_location where) {
  ThreadCore& core = ThreadCore::require_current(operation);
  core_ = &core;
  promise = this;
  name = operation;
  spawned_at = where;
  core.tasks().add(*this);
  stop_.link_to(parent != nullptr ? parent : &core.root_stop());
  set_stop_state(&stop_);
  set_waiting_on("ready");
  turn_.handle = self;
  core.make_ready(turn_);
}

void DetachedPromise::ended() noexcept { core_->tasks().remove(*this); }

std::exception_ptr thread_ended_under_operation() noexcept {
  Error error(std::errc::no_such_process, "the thread ended before the operation did");
  return std::make_exception_ptr(std::move(error).with_outcome(Outcome::may_have_executed));
}

}  // namespace spdkio::detail
