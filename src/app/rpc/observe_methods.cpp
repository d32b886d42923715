// metrics_*, trace_*, and what is known of stalls. The names of SPDK's methods stay where they mean the same.
#include <spdkio/base/clock.hpp>
#include <spdkio/base/error.hpp>
#include <spdkio/engine/engine.hpp>
#include <spdkio/rpc/params.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/thread.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/observe/collect_metrics.hpp"
#include "app/observe/observability.hpp"
#include "app/rpc/methods.hpp"

namespace spdkio::app {
namespace {

using detail::TraceGroup;

struct GroupName {
  TraceGroup group;
  const char* name;
};
constexpr std::array<GroupName, 3> group_names{
    {{TraceGroup::thread, "thread"}, {TraceGroup::task, "task"}, {TraceGroup::bdev, "bdev"}}};

const char* name_of(TraceGroup group) {
  const auto* const found = std::ranges::find(group_names, group, &GroupName::group);
  return found == group_names.end() ? "" : found->name;
}

std::uint32_t groups_from(const std::string& name) {
  if (name == "all") return detail::all_trace_groups;
  for (const GroupName& group : group_names) {
    if (name == group.name) return static_cast<std::uint32_t>(group.group);
  }
  throw Error(std::errc::invalid_argument, fmt::format("there is no trace group '{}'", name))
      .with_hint("the groups are thread, task, bdev and all");
}

struct MetricsStart {
  std::string address = "127.0.0.1:9420";
  bool allow_remote = false;
  void fields(rpc::Params& p) {
    p.optional("address", &address, "Where to listen: 127.0.0.1:port, [::1]:port or the path of a Unix socket")
        .optional("allow_remote", &allow_remote,
                  "Allow addresses that other machines reach; nobody is asked who he is");
  }
};

struct StallLimit {
  std::uint64_t limit_us = 0;
  void fields(rpc::Params& p) {
    p.required("limit_us", &limit_us, "Microseconds that a piece of work may hold its thread; 0: nobody watches");
    p.check(limit_us == 0 || (limit_us >= 1000 && limit_us <= 3'600'000'000), "limit_us",
            "must be 0, or 1000 to 3600000000");
  }
};

struct EnableGroup {
  std::string name;
  std::uint32_t events_per_thread = 16384;
  void fields(rpc::Params& p) {
    p.required("name", &name, "thread, task, bdev or all")
        .optional("events_per_thread", &events_per_thread, "The newest so many events of each thread are kept");
    p.check(events_per_thread >= 64 && events_per_thread <= (1U << 20), "events_per_thread", "must be 64 to 1048576");
  }
};

struct DisableGroup {
  std::string name;
  void fields(rpc::Params& p) { p.required("name", &name, "thread, task, bdev or all"); }
};

struct GetEvents {
  std::uint64_t thread_id = 0;
  std::uint64_t first = 0;
  std::uint32_t max_events = 1024;
  void fields(rpc::Params& p) {
    p.required("thread_id", &thread_id, "Id of the thread, as thread_get_stats gives it")
        .optional("first", &first, "Number of the first event; older ones than are kept are left out")
        .optional("max_events", &max_events, "How many at most");
    p.check(max_events >= 1 && max_events <= 4096, "max_events", "must be 1 to 4096");
  }
};

std::vector<ThreadHandle> reactor_threads() {
  std::vector<ThreadHandle> threads;
  for (const engine::ReactorInfo& reactor : engine::Engine::current().reactors().info()) {
    threads.insert(threads.end(), reactor.threads.begin(), reactor.threads.end());
  }
  return threads;
}

Task<Json> metrics_start(Observability& observability, MetricsStart wanted) {
  observability.start_metrics(wanted.address, wanted.allow_remote);
  Json out = {{"address", observability.metrics_address()}};
  co_return out;
}

Task<Json> metrics_stop(Observability& observability) {
  co_await observability.stop_metrics();
  co_return true;
}

Task<Json> metrics_get() {
  const std::string text = co_await collect_metrics(engine::Engine::current().name());
  Json out = {{"format", "text/plain; version=0.0.4"}};
  out["text"] = text;
  co_return out;
}

Task<Json> set_stall_limit(Observability& observability, StallLimit wanted) {
  observability.set_stall_limit(std::chrono::microseconds{wanted.limit_us});
  co_return true;
}

Json stalls_to_json(const std::vector<detail::StallCount>& stalls) {
  Json out = Json::array();
  for (const detail::StallCount& stall : stalls) {
    const auto longest = std::chrono::duration_cast<std::chrono::microseconds>(ns_from_ticks(stall.longest_ticks));
    out.push_back({{"what", stall.what}, {"count", stall.count}, {"longest_us", longest.count()}});
  }
  return out;
}

Task<Json> get_stalls(Observability& observability) {
  const auto limit = std::chrono::duration_cast<std::chrono::microseconds>(observability.stall_limit());
  Json threads = Json::array();
  for (const ThreadHandle& thread : reactor_threads()) {
    auto look = [] { return detail::ThreadCore::current()->stalls(); };
    auto call = thread.call(look);
    const Result<std::vector<detail::StallCount>> stalls = co_await as_result(std::move(call));
    if (!stalls) continue;  // it has ended
    Json entry = {{"name", thread.name()}, {"id", std::to_underlying(thread.id())}};
    entry["stalls"] = stalls_to_json(*stalls);
    threads.push_back(std::move(entry));
  }
  Json out = {{"limit_us", limit.count()}};
  out["threads"] = std::move(threads);
  co_return out;
}

Task<Json> get_groups(Observability& observability) {
  const std::uint32_t groups = observability.trace_groups();
  Json out = {{"tpoint_group_mask", fmt::format("{:#x}", groups)}};
  for (const GroupName& group : group_names) {
    const auto bit = static_cast<std::uint32_t>(group.group);
    out[group.name] = {{"enabled", (groups & bit) != 0}, {"mask", fmt::format("{:#x}", bit)}};
  }
  co_return out;
}

Task<Json> enable_group(Observability& observability, EnableGroup wanted) {
  const std::uint32_t groups = observability.trace_groups() | groups_from(wanted.name);
  co_await observability.set_trace_groups(groups, wanted.events_per_thread);
  co_return true;
}

Task<Json> disable_group(Observability& observability, DisableGroup wanted) {
  const std::uint32_t groups = observability.trace_groups() & ~groups_from(wanted.name);
  co_await observability.set_trace_groups(groups, 0);
  co_return true;
}

/// Made on the Thread itself: its events point at names that go with its ring.
Json events_here(const GetEvents& wanted) {
  Json out = Json::object();
  const detail::TraceRing* const ring = detail::ThreadCore::current()->trace();
  const std::uint64_t first = ring == nullptr ? 0 : std::max(wanted.first, ring->oldest());
  const std::uint64_t end = ring == nullptr ? 0 : std::min(ring->recorded(), first + wanted.max_events);
  Json events = Json::array();
  for (std::uint64_t number = first; number < end; ++number) {
    const detail::TraceEvent& event = ring->event(number);
    Json entry = {{"begin", event.begin_ticks},
                  {"duration", event.duration_ticks},
                  {"name", event.name},
                  {"group", name_of(event.group)}};
    if (event.object != nullptr) entry["object"] = *event.object;
    if (event.first != 0 || event.second != 0) {
      entry["first"] = event.first;
      entry["second"] = event.second;
    }
    if (event.overlaps) entry["overlaps"] = true;
    events.push_back(std::move(entry));
  }
  out["tick_rate"] = ticks_per_second();
  out["recorded"] = ring == nullptr ? 0 : ring->recorded();
  out["first"] = first;
  out["events"] = std::move(events);
  return out;
}

Task<Json> get_events(GetEvents wanted) {
  for (const ThreadHandle& thread : reactor_threads()) {
    if (std::to_underlying(thread.id()) != wanted.thread_id) continue;
    auto look = [&wanted] { return events_here(wanted); };
    auto call = thread.call(look);
    co_return co_await std::move(call);
  }
  throw Error(std::errc::no_such_process, fmt::format("there is no thread {} on a reactor", wanted.thread_id))
      .with_hint("thread_get_stats lists them");
}

}  // namespace

void register_observe_methods(rpc::MethodTable& table, Observability& observability) {
  Observability* const self = &observability;
  table.add<MetricsStart>("metrics_start", "Serve metrics for Prometheus over HTTP",
                          [self](MetricsStart p) { return metrics_start(*self, std::move(p)); });
  table.add("metrics_stop", "Serve no metrics any more", [self] { return metrics_stop(*self); });
  table.add("metrics_get", "The metrics as text", metrics_get);
  table.add<StallLimit>("thread_set_stall_limit", "Count and name work that holds a thread longer than this",
                        [self](StallLimit p) { return set_stall_limit(*self, p); });
  table.add("thread_get_stalls", "Work that held threads too long", [self] { return get_stalls(*self); });
  table.add("trace_get_tpoint_group_mask", "Groups of events that are recorded", [self] { return get_groups(*self); });
  table.add<EnableGroup>("trace_enable_tpoint_group", "Record a group of events",
                         [self](EnableGroup p) { return enable_group(*self, std::move(p)); });
  table.add<DisableGroup>("trace_disable_tpoint_group", "Record a group no more; without any, the events are dropped",
                          [self](DisableGroup p) { return disable_group(*self, std::move(p)); });
  table.add<GetEvents>("trace_get_events", "Recorded events of a thread, oldest first", get_events);
}

}  // namespace spdkio::app
