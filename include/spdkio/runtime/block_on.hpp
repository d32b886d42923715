// block_on: from code that is not a coroutine.
#pragma once

#include <spdkio/runtime/task.hpp>
#include <spdkio/runtime/thread.hpp>

#include <utility>

namespace spdkio {

namespace detail {
/// Drives the calling OS thread's Thread, or a temporary one, until the task has ended. Throws Misuse::would_block
/// inside a task, message or poller.
class BlockingDriver {
 public:
  explicit BlockingDriver(const char* operation);
  BlockingDriver(const BlockingDriver&) = delete;
  ~BlockingDriver();
  void run_until(const std::function<bool()>& done);
  ThreadHandle thread() const;

 private:
  std::optional<Thread> temporary_;
  ThreadCore* core_;
};
}  // namespace detail

/// Runs `task` to its end on the calling OS thread and gives its result or throws what it threw. The OS thread's
/// attached Thread runs it, or a temporary one that ends with the call; it sleeps while there is nothing to do. Refuses
/// with Misuse::would_block where it would stop a reactor: await the task there instead.
template <class T>
T block_on(Task<T> task) {
  detail::BlockingDriver driver("block_on");
  auto handle = driver.thread().spawn(std::move(task), "block_on");
  driver.run_until([&] { return handle.done(); });
  return handle.wait();
}

}  // namespace spdkio
