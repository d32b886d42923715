#include "app/observe/observability.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/engine/engine.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/thread.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <utility>

#include "app/observe/collect_metrics.hpp"

namespace spdkio::app {

void Observability::start_metrics(const std::string& address, bool allow_remote) {
  if (metrics_) {
    throw Error(std::errc::device_or_resource_busy, "metrics are served at " + metrics_->address() + " already")
        .with_operation("metrics_start");
  }
  MetricsServerOptions options{.address = address, .allow_remote = allow_remote};
  metrics_.emplace(
      MetricsServer::listen(std::move(options), [] { return collect_metrics(engine::Engine::current().name()); }));
}

Task<> Observability::stop_metrics() {
  if (!metrics_) {
    throw Error(std::errc::no_such_device_or_address, "no metrics are served").with_operation("metrics_stop");
  }
  MetricsServer ending = std::move(*metrics_);
  metrics_.reset();
  co_await ending.close();
}

void Observability::set_stall_limit(std::chrono::nanoseconds limit) {
  watcher_.reset();
  if (limit > limit.zero()) watcher_.emplace(engine::Engine::current().reactors(), limit);
}

Task<> Observability::set_trace_groups(std::uint32_t groups, std::size_t events_per_thread) {
  trace_groups_ = groups;
  for (const engine::ReactorInfo& reactor : engine::Engine::current().reactors().info()) {
    for (const ThreadHandle& thread : reactor.threads) {
      auto apply = [groups, events_per_thread] {
        auto& core = *detail::ThreadCore::current();
        if (core.trace() != nullptr && groups != 0 && core.trace()->capacity() >= events_per_thread) {
          core.trace()->set_groups(groups);
        } else {
          core.start_trace(groups, events_per_thread);
        }
      };
      auto call = thread.call(apply);
      [[maybe_unused]] const Result<> applied = co_await as_result(std::move(call));  // ended meanwhile: not traced
    }
  }
}

Task<> Observability::stop() {
  set_stall_limit({});
  if (metrics_) co_await stop_metrics();
}

}  // namespace spdkio::app
