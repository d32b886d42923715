// thread_*.
#include <spdkio/base/clock.hpp>
#include <spdkio/engine/engine.hpp>
#include <spdkio/runtime/as_result.hpp>

#include <utility>

#include "app/rpc/methods.hpp"
#include "app/rpc/thread_report.hpp"

namespace spdkio::app {

Task<std::optional<ThreadReport>> report_thread(ThreadHandle thread) {
  auto look = [] {
    const auto& core = *detail::ThreadCore::current();
    return ThreadReport{.stats = core.stats(), .cpumask = core.cpumask().to_mask_string()};
  };
  auto call = thread.call(look);
  Result<ThreadReport> report = co_await as_result(std::move(call));
  if (!report) co_return std::nullopt;
  co_return std::move(*report);
}

namespace {

/// Threads that the program attached to OS threads of its own are not listed: they may not be polled just now, and the
/// answer would have to wait for them.
Task<Json> get_stats() {
  Json threads = Json::array();
  for (const engine::ReactorInfo& reactor : engine::Engine::current().reactors().info()) {
    for (const ThreadHandle& thread : reactor.threads) {
      const std::optional<ThreadReport> report = co_await report_thread(thread);
      if (!report) continue;
      threads.push_back({{"name", thread.name()},
                         {"id", std::to_underlying(thread.id())},
                         {"cpumask", report->cpumask},
                         {"busy", report->stats.busy_ticks},
                         {"idle", report->stats.idle_ticks},
                         {"active_pollers_count", report->stats.active_pollers},
                         {"timed_pollers_count", report->stats.timed_pollers},
                         {"paused_pollers_count", report->stats.paused_pollers}});
    }
  }
  Json out = Json::object();
  out["tick_rate"] = ticks_per_second();
  out["threads"] = std::move(threads);
  co_return out;
}

}  // namespace

void register_thread_methods(rpc::MethodTable& table) {
  table.add("thread_get_stats", "Threads on the reactors, and how busy they are", get_stats);
}

}  // namespace spdkio::app
