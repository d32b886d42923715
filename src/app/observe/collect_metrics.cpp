#include "app/observe/collect_metrics.hpp"

#include <spdkio/base/clock.hpp>
#include <spdkio/bdev/service.hpp>
#include <spdkio/engine/engine.hpp>
#include <spdkio/runtime/sleep.hpp>

#include <sys/resource.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "app/observe/metrics_text.hpp"
#include "app/rpc/thread_report.hpp"

namespace spdkio::app {
namespace {

using bdev::IoType;

/// Upper ends of the buckets of latencies, in seconds.
constexpr std::array<double, 19> latency_bounds{1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3,
                                                2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1,  0.5,  1,    10};

struct ThreadRow {
  std::string name;
  std::string id;
  detail::ThreadStats stats;
};

struct DeviceRow {
  std::shared_ptr<bdev::DeviceState> device;
  bdev::DeviceTotals totals;
};

double seconds(std::uint64_t ticks) { return static_cast<double>(ticks) / static_cast<double>(ticks_per_second()); }
double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

void write_process(MetricsText& out, std::string_view engine) {
  out.family("spdkio_build_info", MetricType::gauge, "Version of the library and the engine that runs; always 1.");
  out.sample({{"version", SPDKIO_VERSION}, {"engine", engine}}, std::uint64_t{1});
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) return;
  out.family("process_cpu_seconds_total", MetricType::counter, "User and system CPU time of the process.");
  out.sample({}, seconds(usage.ru_utime) + seconds(usage.ru_stime));
}

void write_reactors(MetricsText& out, const std::vector<engine::ReactorInfo>& reactors) {
  const auto each = [&](std::string_view name, MetricType type, std::string_view help, auto value) {
    out.family(name, type, help);
    for (const engine::ReactorInfo& reactor : reactors) {
      out.sample({{"core", std::to_string(std::to_underlying(reactor.core))}}, value(reactor));
    }
  };
  each("spdkio_reactor_busy_seconds_total", MetricType::counter, "Time a reactor spent in rounds that did something.",
       [](const auto& reactor) { return seconds(reactor.busy_ticks); });
  each("spdkio_reactor_idle_seconds_total", MetricType::counter, "Time a reactor found nothing to do, or slept.",
       [](const auto& reactor) { return seconds(reactor.idle_ticks); });
  each("spdkio_reactor_sleeping", MetricType::gauge, "1 while the reactor sleeps in the kernel.",
       [](const auto& reactor) { return std::uint64_t{reactor.sleeping ? 1U : 0U}; });
}

void write_threads(MetricsText& out, const std::vector<ThreadRow>& threads) {
  const auto each = [&](std::string_view name, MetricType type, std::string_view help, auto value) {
    out.family(name, type, help);
    for (const ThreadRow& row : threads) out.sample({{"thread", row.name}, {"id", row.id}}, value(row.stats));
  };
  using Stats = detail::ThreadStats;
  each("spdkio_thread_busy_seconds_total", MetricType::counter, "Time in rounds that did something.",
       [](const Stats& stats) { return seconds(stats.busy_ticks); });
  each("spdkio_thread_idle_seconds_total", MetricType::counter, "Time in rounds that found nothing to do.",
       [](const Stats& stats) { return seconds(stats.idle_ticks); });
  each("spdkio_thread_rounds_total", MetricType::counter, "Rounds of the scheduler.",
       [](const Stats& stats) { return stats.polls; });
  each("spdkio_thread_task_turns_total", MetricType::counter, "Times that a waiting coroutine went on.",
       [](const Stats& stats) { return stats.resumes; });
  each("spdkio_thread_messages_total", MetricType::counter, "Messages received from outside the Thread.",
       [](const Stats& stats) { return stats.messages; });
  each("spdkio_thread_tasks", MetricType::gauge, "Spawned tasks that run.",
       [](const Stats& stats) { return stats.tasks; });
  each("spdkio_thread_stalls_total", MetricType::counter,
       "Pieces of work that held the Thread longer than the stall limit; 0 while there is no limit.",
       [](const Stats& stats) { return stats.stalls; });
  each("spdkio_thread_longest_stall_seconds", MetricType::gauge, "The longest of them.",
       [](const Stats& stats) { return seconds(stats.longest_stall_ticks); });
}

/// Operations that some device has done, and always reads and writes.
std::vector<IoType> shown_operations(const std::vector<DeviceRow>& devices) {
  std::vector<IoType> shown;
  for (std::size_t i = 0; i < bdev::io_type_count; ++i) {
    const auto type = static_cast<IoType>(i);
    bool used = type == IoType::read || type == IoType::write;
    for (const DeviceRow& row : devices) used = used || row.totals.stats[type].operations != 0;
    if (used) shown.push_back(type);
  }
  return shown;
}

void write_latency(MetricsText& out, std::string_view device, std::string_view operation,
                   const LatencyHistogram& histogram) {
  std::array<MetricsText::Bucket, latency_bounds.size()> buckets{};
  for (std::size_t i = 0; i < latency_bounds.size(); ++i) {
    const double ticks = latency_bounds[i] * static_cast<double>(ticks_per_second());
    buckets[i] = {latency_bounds[i], histogram.count_below(static_cast<std::uint64_t>(ticks) + 1)};
  }
  const double sum = histogram.mean() * static_cast<double>(histogram.count());
  out.histogram({{"bdev", device}, {"operation", operation}}, buckets, histogram.count(),
                sum / static_cast<double>(ticks_per_second()));
}

void write_devices(MetricsText& out, const std::vector<DeviceRow>& devices) {
  const auto each = [&](std::string_view name, MetricType type, std::string_view help, auto value) {
    out.family(name, type, help);
    for (const DeviceRow& row : devices) out.sample({{"bdev", row.device->name()}}, value(row));
  };
  each("spdkio_bdev_size_bytes", MetricType::gauge, "Size of the block device.",
       [](const DeviceRow& row) { return row.device->num_blocks().value * row.device->geometry().block_size; });
  each("spdkio_bdev_in_flight", MetricType::gauge, "Requests that have not ended.",
       [](const DeviceRow& row) { return row.totals.in_flight; });
  each("spdkio_bdev_channels", MetricType::gauge, "Threads that have a channel to the device.",
       [](const DeviceRow& row) { return row.totals.channels; });

  const std::vector<IoType> operations = shown_operations(devices);
  const auto each_operation = [&](std::string_view name, std::string_view help, auto value) {
    out.family(name, MetricType::counter, help);
    for (const DeviceRow& row : devices) {
      for (const IoType type : operations) {
        out.sample({{"bdev", row.device->name()}, {"operation", bdev::to_string(type)}}, value(row.totals.stats[type]));
      }
    }
  };
  each_operation("spdkio_bdev_operations_total", "Requests that have ended.",
                 [](const bdev::OpStats& stats) { return stats.operations; });
  each_operation("spdkio_bdev_bytes_total", "Bytes of the ranges of requests that have ended.",
                 [](const bdev::OpStats& stats) { return stats.bytes; });
  each_operation("spdkio_bdev_errors_total", "Requests that ended with an error.",
                 [](const bdev::OpStats& stats) { return stats.errors; });

  out.family("spdkio_bdev_latency_seconds", MetricType::histogram,
             "Latencies of timed requests: one in 32 of each channel, or all while bdev_enable_histogram or a trace is "
             "on.");
  constexpr std::array<std::string_view, bdev::Latencies::kinds> kinds{"read", "write", "other"};
  for (const DeviceRow& row : devices) {
    for (std::size_t i = 0; i < kinds.size(); ++i) {
      const LatencyHistogram& histogram = row.totals.latencies.histograms[i];
      if (i == bdev::Latencies::other && histogram.count() == 0) continue;
      write_latency(out, row.device->name(), kinds[i], histogram);
    }
  }
}

}  // namespace

Task<std::string> collect_metrics(std::string_view engine) {
  const std::vector<engine::ReactorInfo> reactors = engine::Engine::current().reactors().info();
  std::vector<ThreadRow> threads;
  for (const engine::ReactorInfo& reactor : reactors) {
    for (const ThreadHandle& thread : reactor.threads) {
      std::optional<ThreadReport> report = co_await report_thread(thread);
      if (!report) continue;
      threads.push_back({thread.name(), std::to_string(std::to_underlying(thread.id())), report->stats});
    }
  }
  std::vector<DeviceRow> devices;
  for (const auto& device : bdev::Service::current().list()) {
    auto asking = device->totals();
    bdev::DeviceTotals totals = co_await std::move(asking);
    devices.push_back({device, std::move(totals)});
  }
  // Formatting for many devices takes a while: others have their turn between the parts.
  MetricsText out;
  write_process(out, engine);
  write_reactors(out, reactors);
  write_threads(out, threads);
  co_await yield();
  write_devices(out, devices);
  co_return out.take();
}

}  // namespace spdkio::app
