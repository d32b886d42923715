// The result of one `spdkio bench`, and its JSON form (docs/formats/bench-result.md).
#pragma once

#include "spdkio/report/latency_summary.hpp"
#include "spdkio/system/machine_info.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spdkio::tool {

struct JobConfig {
  std::string bdev;     ///< name of the device
  std::string product;  ///< what kind of device it is
  std::uint32_t block_size = 0;
  std::uint64_t num_blocks = 0;
  std::string workload;  ///< "randread", "rw", ...
  std::uint64_t io_size_bytes = 0;
  std::uint32_t queue_depth = 0;
  std::vector<unsigned> cores;
  std::uint32_t read_percent = 0;  ///< 100 for pure reads, 0 for pure writes
  double runtime_s = 0;            ///< as asked for; 0: until `total_bytes` were transferred
  double warmup_s = 0;
  std::uint64_t total_bytes = 0;  ///< 0: until `runtime_s` is over
  std::uint64_t rate_iops = 0;    ///< 0: as fast as it goes
  std::uint64_t seed = 0;
  bool verify = false;
  bool operator==(const JobConfig&) const = default;
};

struct Transfer {
  std::uint64_t ios = 0;
  std::uint64_t bytes = 0;
  bool operator==(const Transfer&) const = default;
};

/// What happened between two moments of the measured time.
struct IntervalSample {
  double from_s = 0;
  double to_s = 0;
  Transfer read;
  Transfer write;
  std::optional<std::uint64_t> p50_ns;
  std::optional<std::uint64_t> p99_ns;
  bool operator==(const IntervalSample&) const = default;
};

struct JobResult {
  std::string name;
  JobConfig config;
  double elapsed_s = 0;  ///< measured time, without the warm-up
  Transfer read;
  Transfer write;
  std::uint64_t errors = 0;         ///< operations that the device refused or failed
  std::uint64_t verify_errors = 0;  ///< blocks that held something else than was written
  std::string first_error;
  double cpu_s = 0;  ///< CPU time of the cores of this job; 0 when not known
  std::vector<IntervalSample> samples;
  std::optional<LatencySummary> latency;  ///< none when latency was not asked for
  std::optional<LatencySummary> read_latency;
  std::optional<LatencySummary> write_latency;
  bool operator==(const JobResult&) const = default;

  std::uint64_t ios() const { return read.ios + write.ios; }
  std::uint64_t bytes() const { return read.bytes + write.bytes; }
  double per_second(std::uint64_t amount) const { return elapsed_s > 0 ? static_cast<double>(amount) / elapsed_s : 0; }
};

struct BenchResult {
  static constexpr int schema_version = 1;

  std::string tool_version;
  std::string started_at;  ///< UTC, `2026-11-05T12:34:56Z`
  std::string engine;
  std::vector<std::string> command;
  MachineInfo machine;
  std::vector<JobResult> jobs;
  bool operator==(const BenchResult&) const = default;
};

nlohmann::ordered_json to_json(const BenchResult& result);
/// Throws `Failure` that names the first member that is missing, of the wrong type or out of range. Members that this
/// version does not know are ignored.
BenchResult bench_result_from_json(std::string_view text, std::string_view source_name);

}  // namespace spdkio::tool
