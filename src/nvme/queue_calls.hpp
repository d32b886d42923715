// Calls to a queue pair on its own Thread, from wherever its controller is.
#pragma once

#include <spdkio/base/log.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/thread.hpp>

#include <memory>
#include <utility>

#include "nvme/queue_state.hpp"

namespace spdkio::nvme {

/// Runs `task()` on another Thread, or here if it is this one; a Thread that has ended has nothing to do it with.
template <class F>
Task<> run_on(ThreadHandle thread, F task) {
  if (thread.is_current()) {
    auto running = task();
    co_await std::move(running);
    co_return;
  }
  auto calling = thread.call(moved(std::move(task)));
  const auto called = co_await as_result(std::move(calling));
  if (!called) log::debug("nvme: thread '{}': {}", thread.name(), called.error().what());
}

inline Task<> stop_queue(std::shared_ptr<QueueState> queue, bool orderly) {
  const ThreadHandle thread = queue->thread();
  auto stop = [queue, orderly] { return queue->stop(orderly); };
  auto running = run_on(thread, moved(std::move(stop)));
  co_await std::move(running);
}

/// Calls `f` on the queue's Thread, soon.
template <class F>
void tell(const std::shared_ptr<QueueState>& queue, F f) noexcept {
  if (queue->thread().is_current()) return f(*queue);
  try {
    [[maybe_unused]] const auto sent = queue->thread().send([queue, f = std::move(f)] { f(*queue); });
  } catch (...) {
    log::error("{}: no memory to tell queue {} what happened", queue->settings().device, queue->qid());
  }
}

}  // namespace spdkio::nvme
