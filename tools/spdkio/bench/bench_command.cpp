
#include "spdkio/bench/bench_command.hpp"

#include "spdkio/app/tool_app.hpp"
#include "spdkio/bench/bench_report.hpp"
#include "spdkio/bench/bench_run.hpp"
#include "spdkio/cli/help_page.hpp"
#include "spdkio/device/device_spec.hpp"
#include "spdkio/report/report_html.hpp"

#include <spdkio/base/byte_size.hpp>
#include <spdkio/base/error.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <ctime>
#include <fstream>
#include <memory>
#include <random>

namespace spdkio::tool {
namespace {

struct BenchOptions {
  std::vector<std::string> devices;
  std::string config;
  std::vector<std::string> workloads{"randread"};
  std::vector<std::uint32_t> queue_depths{32};
  std::string io_size = "4KiB";
  std::string cores;
  std::uint32_t read_percent = 70;
  double runtime_s = 5;
  double warmup_s = 0;
  double interval_s = 1;
  std::string total_bytes;
  std::string span;
  std::uint64_t rate_iops = 0;
  std::uint64_t seed = 0;
  bool fill = false;
  bool verify = false;
  std::string latency = "sampled";
  bool continue_on_error = false;
  bool overwrite = false;
  bool busy = false;
  bool json = false;
  std::string output;
  std::string html;
};

std::uint64_t bytes_option(std::string_view name, const std::string& text) {
  try {
    const std::uint64_t bytes = parse_byte_size(text).value;
    if (bytes == 0) throw Failure::usage(fmt::format("{} is zero", name));
    return bytes;
  } catch (const Error& error) {
    throw Failure::usage(fmt::format("{}: {}", name, error.what()));
  }
}

double seconds_option(std::string_view name, double seconds) {
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e8)
    throw Failure::usage(fmt::format("{} is not a time in seconds", name));
  return seconds;
}

BenchPlan make_plan(const BenchOptions& options, const CLI::App& app) {
  BenchPlan plan;
  for (const std::string& name : options.workloads) {
    for (const std::uint32_t depth : options.queue_depths) {
      if (depth == 0 || depth > 65536) throw Failure::usage("--queue-depth is not between 1 and 65536");
      plan.phases.push_back({*find_workload(name), depth});
    }
  }
  plan.io_bytes = bytes_option("--io-size", options.io_size);
  if (plan.io_bytes > (std::uint64_t{1} << 30)) throw Failure::usage("--io-size is above 1 GiB");
  if (options.read_percent > 100) throw Failure::usage("--read-percent is above 100");
  plan.read_percent = options.read_percent;
  plan.runtime_s = seconds_option("--time", options.runtime_s);
  plan.warmup_s = seconds_option("--warmup", options.warmup_s);
  plan.interval_s = seconds_option("--interval", options.interval_s);
  if (plan.interval_s < 0.01) throw Failure::usage("--interval is below 0.01 s");
  if (!options.total_bytes.empty()) {
    plan.total_bytes = bytes_option("--total", options.total_bytes);
    if (plan.total_bytes < plan.io_bytes) throw Failure::usage("--total is less than one I/O");
    if (plan.warmup_s > 0) throw Failure::usage("--warmup and --total do not go together");
    if (app.count("--time") == 0) plan.runtime_s = 0;
  } else if (plan.runtime_s == 0) {
    throw Failure::usage("neither --time nor --total ends the run");
  }
  if (!options.span.empty()) plan.span_bytes = bytes_option("--span", options.span);
  plan.rate_iops = options.rate_iops;
  plan.seed = app.count("--seed") != 0 ? options.seed : std::random_device{}();
  plan.fill = options.fill;
  plan.verify = options.verify;
  plan.latency = options.latency == "off"   ? LatencyMode::off
                 : options.latency == "all" ? LatencyMode::all
                                            : LatencyMode::sampled;
  plan.stop_on_error = !options.continue_on_error;
  return plan;
}

// Writing over a file that holds something is a mistake more often than not.
void refuse_overwriting(const BenchOptions& options, const BenchPlan& plan, const DeviceSpec& spec) {
  const bool writes = plan.fill || std::any_of(plan.phases.begin(), plan.phases.end(),
                                               [](const BenchPhase& phase) { return phase.workload.writes; });
  if (!writes || options.overwrite || spec.path.empty()) return;
  throw Failure::usage(fmt::format("this workload overwrites {}", spec.path), "--overwrite says that this is meant");
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

void write_file(const std::string& path, const std::string& content) {
  std::ofstream file{path, std::ios::binary | std::ios::trunc};
  file << content;
  file.close();
  if (!file) throw Failure{fmt::format("{} cannot be written: {}", path, std::strerror(errno))};
}

ExitCode run(const BenchOptions& options, const CLI::App& app, Session& session) {
  BenchPlan plan = make_plan(options, app);
  DevicePlan devices{options.config};
  for (const std::string& text : options.devices) {
    const DeviceSpec spec = devices.add(text);
    refuse_overwriting(options, plan, spec);
    if (std::find(plan.devices.begin(), plan.devices.end(), spec.bdev_name) != plan.devices.end()) {
      throw Failure::usage(fmt::format("device '{}' is given twice", spec.bdev_name));
    }
    plan.devices.push_back(spec.bdev_name);
  }

  BenchResult result;
  result.tool_version = SPDKIO_VERSION;
  result.started_at = utc_now();
  result.command = session.command_line;
  result.machine = read_machine_info(SystemRoot{});
  AppOptions app_options = tool_app_options(session, devices);
  app_options.name = "bench";
  app_options.reactor_mask = options.cores;
  if (options.busy) app_options.poll_mode = PollMode::busy;
  const BenchOutcome outcome = App::run_result(app_options, [&](App& running) {
    result.engine = running.engine().name();
    return run_bench(running, plan, session.err);
  });
  result.jobs = outcome.jobs;

  const std::string json = rpc::dump_json(to_json(result), 2);
  if (!options.output.empty()) write_file(options.output, json + "\n");
  if (!options.html.empty()) write_file(options.html, report_html({{"run", result}}));
  if (options.json) {
    session.out.line(json);
  } else {
    print_bench_result(session.out, result);
  }
  session.out.stream().flush();

  for (const JobResult& job : result.jobs) {
    if (job.verify_errors != 0) {
      throw Failure{fmt::format("{}: {} blocks with wrong data: {}", job.name, job.verify_errors, job.first_error)};
    }
    if (job.errors != 0)
      throw Failure{fmt::format("{}: {} operations failed: {}", job.name, job.errors, job.first_error)};
  }
  if (outcome.interrupted) throw Failure{"interrupted; the result covers the time until then"};
  return ExitCode::success;
}

std::string workload_help() {
  std::string text;
  for (const Workload& workload : all_workloads()) text += fmt::format("{:<10} {}\n", workload.name, workload.meaning);
  return text;
}

std::vector<std::string> workload_names() {
  std::vector<std::string> names;
  for (const Workload& workload : all_workloads()) names.emplace_back(workload.name);
  return names;
}

}  // namespace

Command add_bench_command(CLI::App& root) {
  CLI::App* app = root.add_subcommand("bench", "Measure block devices: IOPS, bandwidth, latency percentiles");
  auto options = std::make_shared<BenchOptions>();
  app->add_option("DEVICE", options->devices, "Devices, measured at the same time; see Devices below")
      ->required()
      ->type_name("SPEC");
  app->add_option("-w,--workload", options->workloads, "What to do; several run one after the other")
      ->type_name("NAME")
      ->check(CLI::IsMember(workload_names()))
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str();
  app->add_option("-q,--queue-depth", options->queue_depths,
                  "Operations in flight per device and core; several run one after the other")
      ->type_name("N")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str();
  app->add_option("-s,--io-size", options->io_size, "Size of an operation")->type_name("SIZE")->capture_default_str();
  app->add_option("-t,--time", options->runtime_s, "Seconds to measure")->type_name("S")->capture_default_str();
  app->add_option("--warmup", options->warmup_s, "Seconds to run before the measured time")
      ->type_name("S")
      ->capture_default_str();
  app->add_option("--total", options->total_bytes,
                  "Bytes to transfer per device; ends the run unless --time does first")
      ->type_name("SIZE");
  app->add_option("--cores", options->cores,
                  "CPUs to submit from: 0x3, [0,2-4] or 0-3; the first allowed one when not given")
      ->type_name("CPUS");
  app->add_option("--read-percent", options->read_percent, "Share of reads in rw, randrw and verify")
      ->type_name("N")
      ->capture_default_str();
  app->add_option("--span", options->span, "Use only the start of each device")->type_name("SIZE");
  app->add_option("--rate", options->rate_iops, "At most so many operations per second and device")->type_name("IOPS");
  app->add_option("--seed", options->seed, "Makes the sequence of offsets repeatable; random when not given")
      ->type_name("N");
  app->add_flag("--fill", options->fill, "Write every device once before anything is measured");
  app->add_flag(
      "--verify", options->verify,
      "Write patterns with a checksum, compare every read with what was written, and read everything back at the end");
  app->add_option("--latency", options->latency,
                  "Which operations are timed: none, as many as cost nothing, or every one")
      ->type_name("MODE")
      ->check(CLI::IsMember({"off", "sampled", "all"}))
      ->capture_default_str();
  app->add_flag("--continue-on-error", options->continue_on_error, "Count failed operations and go on");
  app->add_flag("--overwrite", options->overwrite,
                "Allow workloads that write to files and block devices of the kernel");
  app->add_flag("--busy", options->busy, "Reactors never sleep, even when there is nothing to do");
  app->add_option("-c,--config", options->config, "JSON configuration that makes devices")->type_name("FILE");
  app->add_flag("--json", options->json, "Write the result as JSON instead of text");
  app->add_option("-o,--output", options->output, "Save the result as JSON too")->type_name("FILE");
  app->add_option("--html", options->html, "Save a report with charts")->type_name("FILE");
  app->add_option("--interval", options->interval_s, "Seconds between samples over time")
      ->type_name("S")
      ->capture_default_str();
  add_help_sections(
      *app,
      {{"Random reads from memory", "spdkio bench malloc:512MiB"},
       {"A file, deeper queue, report with charts", "spdkio bench file:/data/disk.img -q 128 -t 30 --html report.html"},
       {"Writes that are checked when they are read", "spdkio bench malloc:256MiB -w verify -t 10"},
       {"Two cores, three depths, result for a script",
        "spdkio bench null:1GiB --cores 0-1 -q 1,32,128 --json > run.json"},
       {"A device of a configuration", "spdkio bench -c devices.json Raid0 -w randrw --read-percent 50"}},
      {{"Workloads", workload_help()},
       {"Devices", device_spec_help()},
       {"Exit status",
        "0  measured\n"
        "1  an operation failed, data was wrong, or the run was interrupted; the result is still written\n"
        "2  the command line cannot be right"}});
  return {app, [options, app](Session& session) { return run(*options, *app, session); }};
}

}  // namespace spdkio::tool
