
#include "spdkio/bench/bench_report.hpp"

#include "spdkio/terminal/bars.hpp"
#include "spdkio/terminal/human.hpp"
#include "spdkio/terminal/table.hpp"
#include "spdkio/terminal/terminal_histogram.hpp"

#include <spdkio/base/byte_size.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace spdkio::tool {
namespace {

constexpr std::size_t most_detailed_jobs = 3;

std::string errors_of(const JobResult& job) {
  std::string text;
  if (job.errors != 0) text += fmt::format("{} failed operations", job.errors);
  if (job.verify_errors != 0)
    text += fmt::format("{}{} blocks with wrong data", text.empty() ? "" : ", ", job.verify_errors);
  return text;
}

void print_job(const Terminal& terminal, const JobResult& job) {
  const JobConfig& config = job.config;
  terminal.line(fmt::format("{}  {} on {} ({}, {}), depth {}, cores {}", terminal.paint(Tone::strong, job.name),
                            format_bytes(ByteCount{config.io_size_bytes}), printable(config.bdev),
                            printable(config.product), format_bytes(ByteCount{config.num_blocks * config.block_size}),
                            config.queue_depth, format_cpu_list(config.cores)));
  Table table{{{""}, {"IOPS", Align::right}, {"bandwidth", Align::right}, {"operations", Align::right}}, "  "};
  const auto row = [&](const char* name, const Transfer& transfer) {
    table.add_row({name, format_count(job.per_second(transfer.ios)), format_rate(job.per_second(transfer.bytes)),
                   fmt::format("{}", transfer.ios)});
  };
  if (job.read.ios != 0) row("read", job.read);
  if (job.write.ios != 0) row("write", job.write);
  if (job.read.ios != 0 && job.write.ios != 0) row("all", {job.ios(), job.bytes()});
  if (!table.empty()) table.print(terminal);
  std::string times = fmt::format("  measured {:.3f} s", job.elapsed_s);
  if (job.cpu_s > 0 && job.ios() > 0) {
    times += fmt::format(", CPU {:.2f} s, {} per operation", job.cpu_s,
                         human_latency(job.cpu_s * 1e9 / static_cast<double>(job.ios())));
  }
  terminal.line(times);
  if (config.verify) {
    terminal.line(terminal.paint(job.verify_errors == 0 ? Tone::ok : Tone::bad,
                                 job.verify_errors == 0 ? "  every block that was read held what was written"
                                                        : "  wrong data: " + printable(job.first_error)));
  }
  if (job.errors != 0)
    terminal.line(
        terminal.paint(Tone::bad, fmt::format("  {} failed operations: {}", job.errors, printable(job.first_error))));
  if (job.latency) {
    terminal.line("");
    print_latency_histogram(terminal, *job.latency);
  }
}

void print_table(const Terminal& terminal, const std::vector<JobResult>& jobs) {
  double most = 1;
  for (const JobResult& job : jobs) most = std::max(most, job.per_second(job.ios()));
  Table table{{{"job"},
               {"depth", Align::right},
               {"IOPS", Align::right},
               {""},
               {"bandwidth", Align::right},
               {"mean", Align::right},
               {"p50", Align::right},
               {"p99", Align::right},
               {"p99.9", Align::right},
               {""}}};
  for (const JobResult& job : jobs) {
    const auto latency = [&](double percent) {
      return job.latency ? human_latency(static_cast<double>(job.latency->percentile(percent))) : std::string{"-"};
    };
    table.add_row({printable(job.name),
                   fmt::format("{}", job.config.queue_depth),
                   format_count(job.per_second(job.ios())),
                   {bar(terminal, job.per_second(job.ios()) / most, 10), Tone::accent},
                   format_rate(job.per_second(job.bytes())),
                   job.latency ? human_latency(job.latency->mean_ns) : "-",
                   latency(50),
                   latency(99),
                   latency(99.9),
                   {errors_of(job), Tone::bad}});
  }
  table.print(terminal);
}

}  // namespace

void print_bench_result(const Terminal& terminal, const BenchResult& result) {
  if (result.jobs.size() > most_detailed_jobs) {
    print_table(terminal, result.jobs);
    return;
  }
  bool first = true;
  for (const JobResult& job : result.jobs) {
    if (!first) terminal.line("");
    first = false;
    print_job(terminal, job);
  }
}

}  // namespace spdkio::tool
