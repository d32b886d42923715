#include <spdkio/runtime/task.hpp>

#include <spdkio/base/log.hpp>

namespace spdkio::detail {

void rethrow_joined(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (Error& error) {
    error = error.with_current_context();
    throw;
  }
}

void throw_nothing_to_await() {
  throw Error(Misuse::already_closed, "this Task was moved from, or awaited before").with_operation("Task");
}

void log_task_destroyed_running() noexcept {
  log::critical("a Task was destroyed while it runs: its frame is left alone");
}

}  // namespace spdkio::detail
