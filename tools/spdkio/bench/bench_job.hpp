// One device under one workload: a worker per core, and the result that they add up to.
#pragma once

#include "spdkio/bench/bench_run.hpp"
#include "spdkio/bench/io_worker.hpp"

#include <spdkio/bdev/bdev_desc.hpp>
#include <spdkio/runtime/join_handle.hpp>
#include <spdkio/runtime/lcore.hpp>
#include <spdkio/runtime/thread.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace spdkio::tool {

/// Belongs to the app thread. In order: `open`, `start`, `begin_measuring`, `take_sample`..., `stop`, `read_back`,
/// `close`, `result`. `close` comes in any case.
class BenchJob {
 public:
  BenchJob(const BenchPlan& plan, const BenchPhase& phase, std::vector<CoreId> cores);
  BenchJob(const BenchJob&) = delete;
  BenchJob& operator=(const BenchJob&) = delete;

  /// Throws `Failure` when the plan does not fit the device.
  Task<> open(std::string name, Access access);
  void start();
  Task<> begin_measuring();
  /// Adds an interval sample from the last one until now.
  Task<> take_sample();
  /// Ends the measured time and waits for the workers. Throws what kept one from starting.
  Task<> stop();
  /// Reads back and checks what verified writes left; stops early when the application does.
  Task<> read_back(App& app);
  Task<> close();
  JobResult result(std::string name) const;

  /// Every worker has ended by itself: a limit was reached or an error happened.
  bool done() const;
  std::uint64_t live_ios() const;
  std::uint64_t live_bytes() const { return live_ios() * plan_.io_bytes; }
  std::uint64_t live_errors() const;
  const std::string& device_name() const { return name_; }

 private:
  struct Lane {
    std::unique_ptr<IoWorker> worker;
    std::unique_ptr<Thread> thread;
    std::optional<JoinHandle<>> running;
    std::uint64_t start_ticks = 0;
    IoSnapshot last;  // of the latest sample
  };

  void plan_lanes();
  Task<std::vector<IoSnapshot>> snapshots();
  Task<> join_all();

  const BenchPlan& plan_;
  BenchPhase phase_;
  std::vector<CoreId> cores_;
  std::string name_;
  JobConfig config_;
  std::optional<BdevDesc> device_;
  std::vector<Lane> lanes_;
  std::vector<IntervalSample> samples_;
  std::vector<IoSnapshot> finals_;
  IoCounts counts_at_close_;
  std::string first_error_;
  double sampled_until_s_ = 0;
  bool verifies_ = false;
};

}  // namespace spdkio::tool
