
#include "spdkio/bench/bench_run.hpp"

#include "spdkio/bench/bench_job.hpp"
#include "spdkio/bench/fill.hpp"
#include "spdkio/cli/failure.hpp"
#include "spdkio/terminal/progress_line.hpp"

#include <spdkio/base/error_context.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/sleep.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace spdkio::tool {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds look_interval{50};

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Keeps a request to stop from cancelling the task that runs the jobs: it looks at `App::stopping` itself.
Task<> take_stop_request() { co_await App::stop_requested(); }

class PhaseRun {
 public:
  PhaseRun(App& app, const BenchPlan& plan, const BenchPhase& phase, std::vector<std::unique_ptr<BenchJob>>& jobs,
           const Terminal& terminal)
      : app_(app),
        plan_(plan),
        jobs_(jobs),
        line_(terminal, {.title = std::string{phase.workload.name}}, Clock::now()) {}

  Task<> run() {
    for (auto& job : jobs_) job->start();
    if (plan_.warmup_s > 0) co_await wait(plan_.warmup_s, "warm-up");
    for (auto& job : jobs_) co_await job->begin_measuring();
    started_ = Clock::now();
    double next_sample = plan_.interval_s;
    while (!ended()) {
      const double elapsed = seconds_since(started_);
      if (plan_.runtime_s > 0 && elapsed >= plan_.runtime_s) break;
      if (elapsed >= next_sample) {
        for (auto& job : jobs_) co_await job->take_sample();
        next_sample += plan_.interval_s;
        if (next_sample <= elapsed) next_sample = elapsed + plan_.interval_s;
      }
      show(plan_.runtime_s > 0 ? elapsed / plan_.runtime_s : fraction_of_bytes(), {});
      double pause = std::min(std::chrono::duration<double>(look_interval).count(), next_sample - elapsed);
      if (plan_.runtime_s > 0) pause = std::min(pause, plan_.runtime_s - elapsed);
      co_await sleep_for(std::chrono::nanoseconds{static_cast<std::int64_t>(std::max(pause, 1e-4) * 1e9)});
    }
    for (auto& job : jobs_) co_await job->stop();
    for (auto& job : jobs_) co_await job->read_back(app_);
    line_.finish();
  }

 private:
  bool ended() const {
    return app_.stopping() || std::all_of(jobs_.begin(), jobs_.end(), [](const auto& job) { return job->done(); });
  }

  Task<> wait(double seconds, std::string note) {
    const auto start = Clock::now();
    while (!ended() && seconds_since(start) < seconds) {
      show(std::nullopt, note);
      co_await sleep_for(look_interval);
    }
  }

  double fraction_of_bytes() const {
    std::uint64_t bytes = 0;
    for (const auto& job : jobs_) bytes += job->live_bytes();
    const double whole = static_cast<double>(plan_.total_bytes) * static_cast<double>(jobs_.size());
    return whole > 0 ? static_cast<double>(bytes) / whole : 0;
  }

  void show(std::optional<double> fraction, std::string note) {
    ProgressSample sample{.now = Clock::now(), .fraction = fraction, .note = std::move(note)};
    std::uint64_t errors = 0;
    for (const auto& job : jobs_) {
      sample.ios += job->live_ios();
      sample.bytes += job->live_bytes();
      errors += job->live_errors();
    }
    if (errors != 0) sample.note = fmt::format("{} errors", errors);
    line_.update(sample);
  }

  App& app_;
  const BenchPlan& plan_;
  std::vector<std::unique_ptr<BenchJob>>& jobs_;
  ProgressLine line_;
  Clock::time_point started_;
};

Task<> run_phase(App& app, const BenchPlan& plan, const BenchPhase& phase, const std::vector<CoreId>& cores,
                 const Terminal& terminal, std::vector<JobResult>& results) {
  std::vector<std::unique_ptr<BenchJob>> jobs;
  std::exception_ptr failure;
  try {
    for (const std::string& name : plan.devices) {
      const bool writes = phase.workload.writes;
      // Before it is open: a device that does not suit is closed like the others.
      BenchJob& job = *jobs.emplace_back(std::make_unique<BenchJob>(plan, phase, cores));
      co_await job.open(name, writes ? Access::read_write : Access::read_only);
    }
    PhaseRun run{app, plan, phase, jobs, terminal};
    co_await run.run();
  } catch (...) {
    failure = std::current_exception();
  }
  for (auto& job : jobs) co_await job->close();
  if (failure) std::rethrow_exception(failure);
  for (auto& job : jobs) {
    const bool only_device = plan.devices.size() == 1;
    std::string name{phase.workload.name};
    if (plan.phases.size() > 1) name += fmt::format(" q{}", phase.queue_depth);
    if (!only_device) name += " " + job->device_name();
    results.push_back(job->result(std::move(name)));
  }
}

}  // namespace

Task<BenchOutcome> run_bench(App& app, const BenchPlan& plan, const Terminal& terminal) {
  const ErrorContext doing("measuring {}", fmt::join(plan.devices, ", "));
  BenchOutcome outcome;
  const auto cores = Cores::all();
  Scope scope{"bench"};
  scope.spawn(take_stop_request(), "stop");
  std::exception_ptr failure;
  try {
    if (plan.fill) {
      for (const std::string& name : plan.devices) {
        co_await fill_device(app, name, plan.span_bytes, plan.seed, terminal);
      }
    }
    for (const BenchPhase& phase : plan.phases) {
      if (app.stopping()) break;
      co_await run_phase(app, plan, phase, cores, terminal, outcome.jobs);
    }
  } catch (...) {
    failure = std::current_exception();
  }
  scope.request_stop();
  co_await as_result(scope.join());
  if (failure) std::rethrow_exception(failure);
  outcome.interrupted = app.stopping();
  co_return outcome;
}

}  // namespace spdkio::tool
