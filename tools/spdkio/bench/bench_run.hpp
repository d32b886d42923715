// Runs bench jobs inside a running App.
#pragma once

#include "spdkio/bench/io_worker.hpp"
#include "spdkio/report/bench_result.hpp"
#include "spdkio/terminal/terminal.hpp"

#include <spdkio/app/app.hpp>
#include <spdkio/base/cpu_set.hpp>
#include <spdkio/runtime/task.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace spdkio::tool {

/// One workload at one depth, on every device at the same time.
struct BenchPhase {
  Workload workload;
  std::uint32_t queue_depth = 32;  ///< per device and core
};

struct BenchPlan {
  std::vector<std::string> devices;  ///< names of block devices
  std::vector<BenchPhase> phases;    ///< one after the other
  std::uint64_t io_bytes = 4096;
  std::uint32_t read_percent = 70;
  double runtime_s = 5;
  double warmup_s = 0;
  double interval_s = 1;          ///< between samples
  std::uint64_t total_bytes = 0;  ///< per device and phase; 0: until the time is over
  std::uint64_t span_bytes = 0;   ///< use only the start of each device; 0: all of it
  std::uint64_t rate_iops = 0;    ///< per device; 0: no limit
  std::uint64_t seed = 0;
  bool fill = false;  ///< write every device once before the first phase
  bool verify = false;
  LatencyMode latency = LatencyMode::sampled;
  bool stop_on_error = true;
};

struct BenchOutcome {
  std::vector<JobResult> jobs;
  bool interrupted = false;  ///< the user asked to stop; the jobs hold what was measured until then
};

/// On the app thread. Progress goes to `terminal`. Throws `Failure` for what does not fit the devices and Error for
/// what fails before I/O starts; failed I/O is counted in the jobs.
Task<BenchOutcome> run_bench(App& app, const BenchPlan& plan, const Terminal& terminal);

/// A histogram of ticks as latencies.
LatencySummary summarize_ticks(const LatencyHistogram& ticks);

}  // namespace spdkio::tool
