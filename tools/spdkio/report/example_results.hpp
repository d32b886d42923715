// Results made up for tests: plausible, deterministic, with some of everything.
#pragma once

#include "spdkio/report/bench_result.hpp"

#include <algorithm>
#include <cmath>

namespace spdkio::tool {

/// Log-normal latencies around `median_ns` with a second, slower hump.
inline LatencySummary example_latency(double median_ns, double spread, std::uint64_t operations) {
  std::vector<LatencyBucket> buckets;
  for (double from = median_ns / 8; from < median_ns * 60; from *= 1.03) {
    const double to = from * 1.03;
    const double z = std::log(from / median_ns) / spread;
    const double slow = std::log(from / (median_ns * 12)) / 0.2;
    const double density = std::exp(-z * z / 2) + 0.004 * std::exp(-slow * slow / 2);
    const auto low = static_cast<std::uint64_t>(from);
    const auto high = static_cast<std::uint64_t>(to);
    if (high > low)
      buckets.push_back({low, high, static_cast<std::uint64_t>(density * static_cast<double>(operations) / 60)});
  }
  return summarize(std::move(buckets));
}

inline JobResult example_job(std::string name, double iops, double median_ns, std::uint32_t read_percent) {
  JobResult job;
  job.name = std::move(name);
  job.config = {.bdev = "Malloc0",
                .product = "Malloc disk",
                .block_size = 512,
                .num_blocks = 1048576,
                .workload = read_percent == 100 ? "randread" : "randrw",
                .io_size_bytes = 4096,
                .queue_depth = 32,
                .cores = {0, 1},
                .read_percent = read_percent,
                .runtime_s = 30,
                .warmup_s = 2,
                .seed = 42};
  for (int second = 0; second < 30; ++second) {
    const double wave = 1 + 0.04 * std::sin(second * 0.9) + 0.02 * std::sin(second * 2.3) - (second == 17 ? 0.3 : 0);
    const auto ios = static_cast<std::uint64_t>(iops * wave);
    const std::uint64_t reads = ios * read_percent / 100;
    job.samples.push_back({.from_s = static_cast<double>(second),
                           .to_s = second + 1.0,
                           .read = {reads, reads * 4096},
                           .write = {ios - reads, (ios - reads) * 4096},
                           .p50_ns = static_cast<std::uint64_t>(median_ns / wave),
                           .p99_ns = static_cast<std::uint64_t>(median_ns * 2.6 / wave / wave)});
    job.read.ios += reads;
    job.read.bytes += reads * 4096;
    job.write.ios += ios - reads;
    job.write.bytes += (ios - reads) * 4096;
  }
  job.elapsed_s = 30;
  job.cpu_s = 59.5;
  job.latency = example_latency(median_ns, 0.35, job.ios());
  if (read_percent < 100) {
    job.read_latency = example_latency(median_ns * 1.1, 0.3, job.read.ios);
    job.write_latency = example_latency(median_ns * 0.8, 0.4, job.write.ios);
  }
  return job;
}

inline BenchResult example_result(double iops = 1.9e6, double median_ns = 16'000, std::uint32_t read_percent = 70) {
  BenchResult result;
  result.tool_version = "0.1.0";
  result.started_at = "2026-11-05T12:34:56Z";
  result.engine = "embedded";
  result.command = {"spdkio", "bench", "malloc:512MiB", "--workload", "randrw"};
  result.machine = {.hostname = "box",
                    .kernel = "6.1.0-13-amd64",
                    .distribution = "Debian GNU/Linux 12 (bookworm)",
                    .cpu_model = "Example CPU @ 2.60GHz",
                    .cpus_allowed = {0, 1, 2, 3},
                    .numa_nodes = 1,
                    .memory_bytes = std::uint64_t{32} << 30,
                    .virtual_machine = true,
                    .container = "docker"};
  result.jobs.push_back(example_job("randrw 4k", iops, median_ns, read_percent));
  return result;
}

}  // namespace spdkio::tool
