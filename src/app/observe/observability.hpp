// What an application tells about itself while it runs: metrics over HTTP, stalls, traces. On the app thread.
#pragma once

#include <spdkio/runtime/task.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "app/observe/metrics_server.hpp"
#include "app/observe/stall_watcher.hpp"

namespace spdkio::app {

class Observability {
 public:
  Observability() = default;
  Observability(const Observability&) = delete;
  Observability& operator=(const Observability&) = delete;

  /// Throws Error: one server at a time, and what `MetricsServer::listen` throws.
  void start_metrics(const std::string& address, bool allow_remote);
  /// Throws Error when none runs.
  Task<> stop_metrics();
  /// Empty: none.
  std::string metrics_address() const { return metrics_ ? metrics_->address() : std::string(); }

  /// 0: nobody watches.
  void set_stall_limit(std::chrono::nanoseconds limit);
  std::chrono::nanoseconds stall_limit() const { return watcher_ ? watcher_->limit() : std::chrono::nanoseconds{0}; }

  /// Groups of detail::TraceGroup that every Thread on a reactor records from now on.
  Task<> set_trace_groups(std::uint32_t groups, std::size_t events_per_thread);
  std::uint32_t trace_groups() const noexcept { return trace_groups_; }

  /// Before the engine ends.
  Task<> stop();

 private:
  std::optional<MetricsServer> metrics_;
  std::optional<StallWatcher> watcher_;
  std::uint32_t trace_groups_ = 0;
};

}  // namespace spdkio::app
