#include <spdkio/adapters/fd_driver.hpp>

#include <spdkio/base/log.hpp>

namespace spdkio {
namespace {
/// How long a turn of the foreign loop may last when every round of the Thread makes work for the next.
constexpr int rounds_per_dispatch = 16;
}  // namespace

void detail::log_callback_threw(std::source_location where) noexcept {
  log::error("the callback of the operation started at {}:{} threw: {}", where.file_name(), where.line(),
             Error::from_current_exception().what());
}

void detail::log_driver_left(std::size_t in_flight, const Error& why) noexcept {
  log::critical("a driver was destroyed with {} operation(s) in flight, which go on: {}", in_flight, why.what());
}

FdDriver::FdDriver(Thread& thread)
    : thread_(thread), fd_(thread.fd()), state_(std::make_shared<detail::DriverState>()) {
  state_->stop.link_to(&detail::ThreadCore::require_current("FdDriver").root_stop());
}

FdDriver::~FdDriver() {
  try {
    close();
  } catch (const Error& error) {
    detail::log_driver_left(state_->in_flight, error);
  }
}

std::size_t FdDriver::dispatch() {
  Thread& thread = thread_;  // a callback may destroy this driver
  if (thread.state() == ThreadState::exited) return 0;
  ++state_->dispatches;
  std::size_t total = 0;
  for (int round = 0; round < rounds_per_dispatch; ++round) {
    const std::size_t done = thread.poll();
    if (done == 0) break;
    total += done;
  }
  return total;
}

void FdDriver::check(const char* operation) const {
  if (!thread_.handle().is_current()) {
    throw Error(Misuse::wrong_thread, "thread '" + thread_.name() + "' is not the one of this OS thread")
        .with_operation(operation)
        .with_hint("ThreadHandle::send a function that does it there");
  }
  if (closed_) throw Error(Misuse::already_closed, "the driver was closed").with_operation(operation);
}

void FdDriver::close() {
  if (closed_) return;
  if (state_->in_flight != 0) {
    check("FdDriver::close");
    state_->stop.request_stop();
    thread_.run_until([this] { return state_->in_flight == 0; });
  }
  closed_ = true;
  state_->stop.unlink_from_parent();
}

}  // namespace spdkio
