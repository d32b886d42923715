#include "app/observe/stall_watcher.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/runtime/thread.hpp>

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <source_location>
#include <string_view>
#include <utility>

namespace spdkio::app {
namespace {

/// A piece of work that has taken so many limits is named although it has not ended.
constexpr int told_after_limits = 5;

constexpr std::chrono::nanoseconds shortest_period = std::chrono::microseconds{500};

}  // namespace

StallWatcher::StallWatcher(engine::ReactorService& reactors, std::chrono::nanoseconds limit)
    : reactors_(reactors), limit_(limit), watching_([this](const std::stop_token& stop) { run(stop); }) {}

void StallWatcher::run(const std::stop_token& stop) {
  ::pthread_setname_np(::pthread_self(), "stall_watcher");
  const std::chrono::nanoseconds period = std::max(limit_ / 2, shortest_period);
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    wake_.wait_for(lock, stop, period, [] { return false; });
    if (stop.stop_requested()) break;
    try {
      look();
    } catch (...) {
      log::warn("the stall watcher missed a look: {}", Error::from_current_exception().what());
    }
  }
}

void StallWatcher::look() {
  const Clock::time_point now = Clock::now();
  std::map<ThreadId, Seen> still_there;
  for (const engine::ReactorInfo& reactor : reactors_.info()) {
    for (const ThreadHandle& thread : reactor.threads) {
      Seen& seen = still_there[thread.id()] = seen_[thread.id()];
      look_at(thread, seen, now);
    }
  }
  seen_ = std::move(still_there);
}

void StallWatcher::look_at(const ThreadHandle& thread, Seen& seen, Clock::time_point now) const {
  detail::ThreadPulse& pulse = thread.mailbox()->pulse();
  const std::uint64_t round = pulse.rounds.load(std::memory_order_relaxed);
  if (round % 2 == 0 || round != seen.round) {
    seen = {.round = round, .since = now};
    return;
  }
  const std::chrono::nanoseconds held = now - seen.since;
  if (held >= limit_ && !seen.marked) {
    seen.marked = true;
    pulse.slow_round.store(round, std::memory_order_relaxed);
  }
  if (held < limit_ * told_after_limits || seen.told) return;
  seen.told = true;
  const char* const activity = pulse.activity.load(std::memory_order_relaxed);
  const std::source_location task = pulse.task.load(std::memory_order_relaxed);
  const bool is_task = std::string_view(activity) == "task" && task.line() != 0;
  log::error("thread '{}' has been held for {} ms by a {}{}, and still is", thread.name(),
             std::chrono::duration_cast<std::chrono::milliseconds>(held).count(), activity,
             is_task ? fmt::format(" '{} ({}:{})'", task.function_name(), task.file_name(), task.line()) : "");
}

}  // namespace spdkio::app
