
#include "spdkio/report/report_html.hpp"

#include "spdkio/report/html_page.hpp"
#include "spdkio/report/svg_chart.hpp"
#include "spdkio/terminal/human.hpp"
#include "spdkio/terminal/terminal_histogram.hpp"

#include <spdkio/base/byte_size.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <set>

namespace spdkio::tool {
namespace {

constexpr std::size_t histogram_bins = 64;
// The curve ends here even when more operations were measured: fewer than ten lie beyond in most runs.
constexpr double last_percent = 99.999;

struct JobRef {
  std::string name;
  const JobResult* job;
  const BenchResult* run;
  unsigned color;
};

std::vector<JobRef> collect(const std::vector<ReportInput>& inputs) {
  std::vector<JobRef> jobs;
  for (const ReportInput& input : inputs) {
    for (const JobResult& job : input.result.jobs) {
      std::string name = job.name;
      if (inputs.size() > 1) name = input.result.jobs.size() > 1 ? input.label + ": " + job.name : input.label;
      jobs.push_back({std::move(name), &job, &input.result, static_cast<unsigned>(jobs.size())});
    }
  }
  return jobs;
}

// Most jobs move data one way only; its colour and name then stand for the job.
bool is_mixed(const JobResult& job) { return job.read.ios != 0 && job.write.ios != 0; }

std::string tile(std::string_view label, std::string_view value) {
  return fmt::format("<div class=\"tile\"><span>{}</span><b>{}</b></div>", label, escape_html(value));
}

std::string tiles(const JobResult& job) {
  std::string html = "<div class=\"tiles\">";
  html += tile("IOPS", format_count(job.per_second(job.ios())));
  html += tile("Bandwidth", format_rate(job.per_second(job.bytes())));
  if (job.latency) {
    html += tile("Latency, median", human_latency(static_cast<double>(job.latency->percentile(50))));
    html += tile("p99", human_latency(static_cast<double>(job.latency->percentile(99))));
    html += tile("p99.9", human_latency(static_cast<double>(job.latency->percentile(99.9))));
  }
  html += tile("Operations", format_count(static_cast<double>(job.ios())));
  return html + "</div>\n";
}

std::string alerts(const std::vector<JobRef>& jobs) {
  std::string html;
  for (const JobRef& ref : jobs) {
    const JobResult& job = *ref.job;
    if (job.errors == 0 && job.verify_errors == 0) continue;
    html += fmt::format("<p class=\"alert\"><b>{}</b>: {} failed operations, {} blocks with wrong data",
                        escape_html(ref.name), job.errors, job.verify_errors);
    if (!job.first_error.empty()) html += ". First: " + escape_html(job.first_error);
    html += "</p>\n";
  }
  return html;
}

std::string summary_table(const std::vector<JobRef>& jobs) {
  double most = 0;
  for (const JobRef& ref : jobs) most = std::max(most, ref.job->per_second(ref.job->ios()));
  std::string html =
      "<div class=\"card\"><table><thead><tr><th>Job</th><th>Workload</th><th class=\"num\">Size</th>"
      "<th class=\"num\">Depth</th><th class=\"num\">Cores</th><th class=\"num\">IOPS</th><th "
      "class=\"num\">Bandwidth</th>"
      "<th class=\"num\">Mean</th><th class=\"num\">p50</th><th class=\"num\">p99</th><th class=\"num\">p99.9</th>"
      "<th class=\"num\">Max</th><th class=\"num\">Errors</th></tr></thead><tbody>";
  for (const JobRef& ref : jobs) {
    const JobResult& job = *ref.job;
    const double iops = job.per_second(job.ios());
    html += fmt::format("<tr><td>{}</td><td>{}</td>", escape_html(ref.name), escape_html(job.config.workload));
    html +=
        fmt::format("<td class=\"num\">{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td>",
                    format_bytes(ByteCount{job.config.io_size_bytes}), job.config.queue_depth, job.config.cores.size());
    html += fmt::format("<td class=\"num\">{}", format_count(iops));
    if (jobs.size() > 1 && most > 0)
      html += fmt::format("<i class=\"meter\" style=\"width:{:.0f}%\"></i>", 100 * iops / most);
    html += fmt::format("</td><td class=\"num\">{}</td>", format_rate(job.per_second(job.bytes())));
    const auto cell = [&](double value) { html += fmt::format("<td class=\"num\">{}</td>", human_latency(value)); };
    if (job.latency) {
      cell(job.latency->mean_ns);
      for (const double percent : {50.0, 99.0, 99.9}) cell(static_cast<double>(job.latency->percentile(percent)));
      cell(static_cast<double>(job.latency->max_ns));
    } else {
      for (int i = 0; i < 5; ++i) html += "<td class=\"num soft\">-</td>";
    }
    const std::uint64_t errors = job.errors + job.verify_errors;
    html += fmt::format("<td class=\"num{}\">{}</td></tr>", errors != 0 ? " bad" : "", errors);
  }
  return html + "</tbody></table></div>\n";
}

using SampleValue = std::function<double(const IntervalSample&)>;

ChartSeries over_time(const JobRef& ref, std::string name, unsigned color, const SampleValue& value) {
  ChartSeries series{.name = std::move(name), .color = color};
  for (const IntervalSample& sample : ref.job->samples) {
    series.points.push_back({(sample.from_s + sample.to_s) / 2, value(sample)});
  }
  return series;
}

double rate(std::uint64_t amount, const IntervalSample& sample) {
  return static_cast<double>(amount) / (sample.to_s - sample.from_s);
}

std::string time_charts(const std::vector<JobRef>& jobs) {
  LineChart iops{.title = "IOPS over time", .x = {AxisUnit::seconds}, .y = {AxisUnit::count}};
  LineChart bandwidth{.title = "Bandwidth over time", .x = {AxisUnit::seconds}, .y = {AxisUnit::bytes_per_second}};
  LineChart tail{
      .title = "Latency over time, p99", .x = {AxisUnit::seconds}, .y = {AxisUnit::latency_ns, AxisScale::log}};
  for (const JobRef& ref : jobs) {
    if (jobs.size() == 1 && is_mixed(*ref.job)) {
      iops.series.push_back(over_time(ref, "read", 0, [](const auto& s) { return rate(s.read.ios, s); }));
      iops.series.push_back(over_time(ref, "write", 1, [](const auto& s) { return rate(s.write.ios, s); }));
      bandwidth.series.push_back(over_time(ref, "read", 0, [](const auto& s) { return rate(s.read.bytes, s); }));
      bandwidth.series.push_back(over_time(ref, "write", 1, [](const auto& s) { return rate(s.write.bytes, s); }));
    } else {
      iops.series.push_back(
          over_time(ref, ref.name, ref.color, [](const auto& s) { return rate(s.read.ios + s.write.ios, s); }));
      bandwidth.series.push_back(
          over_time(ref, ref.name, ref.color, [](const auto& s) { return rate(s.read.bytes + s.write.bytes, s); }));
    }
    tail.series.push_back(over_time(ref, ref.name, ref.color, [](const auto& s) {
      return s.p99_ns ? static_cast<double>(*s.p99_ns) : std::nan("");
    }));
  }
  return render(iops) + render(bandwidth) + render(tail);
}

ChartSeries percentile_curve(const LatencySummary& latency, std::string name, unsigned color) {
  ChartSeries series{.name = std::move(name), .color = color};
  if (latency.buckets.empty()) return series;
  std::uint64_t total = 0;
  for (const LatencyBucket& bucket : latency.buckets) total += bucket.count;
  const double end = std::min(last_percent, 100.0 * (1 - 1 / static_cast<double>(total + 1)));
  std::set<double> percents{0, end};
  for (double rest = 100; rest > 100 - end; rest *= 0.9) percents.insert(100 - rest);
  for (const double percent : reported_percentiles()) {
    if (percent < end) percents.insert(percent);
  }
  for (const double percent : percents) {
    series.points.push_back({percent, static_cast<double>(latency.percentile(percent))});
  }
  return series;
}

std::string percentile_chart(const std::vector<JobRef>& jobs) {
  LineChart chart{.title = "Latency percentiles",
                  .x = {AxisUnit::percent, AxisScale::nines},
                  .y = {AxisUnit::latency_ns, AxisScale::log}};
  for (const JobRef& ref : jobs) {
    if (jobs.size() == 1 && is_mixed(*ref.job) && ref.job->read_latency && ref.job->write_latency) {
      chart.series.push_back(percentile_curve(*ref.job->read_latency, "read", 0));
      chart.series.push_back(percentile_curve(*ref.job->write_latency, "write", 1));
    } else if (ref.job->latency) {
      chart.series.push_back(percentile_curve(*ref.job->latency, ref.name, ref.color));
    }
  }
  return render(chart);
}

// Equal steps on the logarithmic axis, so that the heights of bars compare; a bucket is shared out by overlap.
std::vector<ChartBar> histogram_bars(const LatencySummary& latency) {
  if (latency.buckets.empty() || latency.count == 0) return {};
  const double low = std::max<double>(1, static_cast<double>(latency.buckets.front().from_ns));
  const double high = std::max(low * 1.2, static_cast<double>(latency.buckets.back().to_ns));
  const double step = std::log(high / low) / static_cast<double>(histogram_bins);
  std::vector<ChartBar> bars;
  for (std::size_t i = 0; i < histogram_bins; ++i) {
    bars.push_back(
        {low * std::exp(step * static_cast<double>(i)), low * std::exp(step * static_cast<double>(i + 1)), 0});
  }
  for (const LatencyBucket& bucket : latency.buckets) {
    const double from = std::max(low, static_cast<double>(bucket.from_ns));
    const double to = std::max(from * (1 + 1e-9), static_cast<double>(bucket.to_ns));
    const double share = 100 * static_cast<double>(bucket.count) / static_cast<double>(latency.count);
    for (ChartBar& bar : bars) {
      const double overlap = std::min(to, bar.to) - std::max(from, bar.from);
      if (overlap > 0) bar.value += share * overlap / (to - from);
    }
  }
  return bars;
}

std::string histogram_charts(const std::vector<JobRef>& jobs) {
  std::string html;
  for (const JobRef& ref : jobs) {
    if (!ref.job->latency) continue;
    const std::string title = jobs.size() > 1 ? "Latency distribution, " + ref.name : "Latency distribution";
    html += render(HistogramChart{.title = title, .bars = histogram_bars(*ref.job->latency), .color = ref.color});
  }
  return html;
}

std::string percentile_table(const std::vector<JobRef>& jobs) {
  std::string head = "<tr><th>Latency</th>";
  std::vector<const LatencySummary*> columns;
  for (const JobRef& ref : jobs) {
    const auto add = [&](const std::optional<LatencySummary>& latency, const std::string& name) {
      if (!latency) return;
      columns.push_back(&*latency);
      head += fmt::format("<th class=\"num\">{}</th>", escape_html(name));
    };
    add(ref.job->latency, jobs.size() == 1 ? "all" : ref.name);
    if (jobs.size() == 1 && is_mixed(*ref.job)) {
      add(ref.job->read_latency, "read");
      add(ref.job->write_latency, "write");
    }
  }
  if (columns.empty()) return {};
  std::string rows;
  const auto row = [&](const std::string& name, const std::function<double(const LatencySummary&)>& value) {
    rows += "<tr><td>" + name + "</td>";
    for (const LatencySummary* column : columns) rows += "<td class=\"num\">" + human_latency(value(*column)) + "</td>";
    rows += "</tr>";
  };
  row("minimum", [](const auto& latency) { return static_cast<double>(latency.min_ns); });
  row("mean", [](const auto& latency) { return latency.mean_ns; });
  for (const double percent : {50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99, 99.999}) {
    row("p" + percent_name(percent),
        [percent](const auto& latency) { return static_cast<double>(latency.percentile(percent)); });
  }
  row("maximum", [](const auto& latency) { return static_cast<double>(latency.max_ns); });
  return "<h2>Percentiles</h2>\n<div class=\"card\"><table><thead>" + head + "</tr></thead><tbody>" + rows +
         "</tbody></table></div>\n";
}

class KeyTable {
 public:
  void row(std::string_view key, std::string_view value) {
    if (!value.empty()) rows_ += fmt::format("<tr><td>{}</td><td>{}</td></tr>", escape_html(key), escape_html(value));
  }
  void code(std::string_view key, std::string_view value) {
    rows_ += fmt::format("<tr><td>{}</td><td><code>{}</code></td></tr>", escape_html(key), escape_html(value));
  }
  std::string html() const {
    return "<div class=\"card\"><table class=\"key\"><tbody>" + rows_ + "</tbody></table></div>\n";
  }

 private:
  std::string rows_;
};

std::string configuration(const std::vector<JobRef>& jobs) {
  std::string html;
  for (const JobRef& ref : jobs) {
    const JobConfig& config = ref.job->config;
    html += fmt::format("<h2>Configuration{}</h2>\n", jobs.size() > 1 ? ": " + escape_html(ref.name) : "");
    KeyTable table;
    table.row("Device", config.product.empty() ? config.bdev : fmt::format("{} ({})", config.bdev, config.product));
    table.row("Device size",
              fmt::format("{}, {} blocks of {}", format_bytes(ByteCount{config.num_blocks * config.block_size}),
                          config.num_blocks, format_bytes(ByteCount{config.block_size})));
    table.row("Workload", is_mixed(*ref.job) ? fmt::format("{}, {} % reads", config.workload, config.read_percent)
                                             : config.workload);
    table.row("I/O size", format_bytes(ByteCount{config.io_size_bytes}));
    table.row("Queue depth", fmt::format("{}", config.queue_depth));
    table.row("Cores", format_cpu_list(config.cores));
    table.row("Measured time", fmt::format("{:.3f} s after {:g} s of warm-up", ref.job->elapsed_s, config.warmup_s));
    table.row("Rate limit", config.rate_iops == 0 ? "" : format_count(static_cast<double>(config.rate_iops)) + " IOPS");
    table.row("Data check", config.verify ? "every read was compared with what had been written" : "none");
    table.row("Seed", fmt::format("{}", config.seed));
    if (ref.job->cpu_s > 0 && ref.job->ios() > 0) {
      table.row("CPU time per operation", human_latency(ref.job->cpu_s * 1e9 / static_cast<double>(ref.job->ios())));
    }
    html += table.html();
  }
  return html;
}

std::string run_details(const std::vector<ReportInput>& inputs) {
  std::string html;
  for (const ReportInput& input : inputs) {
    const BenchResult& run = input.result;
    const MachineInfo& machine = run.machine;
    html += fmt::format("<h2>Machine and run{}</h2>\n", inputs.size() > 1 ? ": " + escape_html(input.label) : "");
    KeyTable table;
    table.row("Host", machine.hostname);
    table.row("CPU", machine.cpu_model);
    table.row("CPUs allowed",
              machine.cpus_allowed.empty()
                  ? ""
                  : fmt::format("{} ({})", format_cpu_list(machine.cpus_allowed), machine.cpus_allowed.size()));
    table.row("Memory", machine.memory_bytes == 0 ? "" : format_bytes(ByteCount{machine.memory_bytes}));
    table.row("NUMA nodes", machine.numa_nodes == 0 ? "" : fmt::format("{}", machine.numa_nodes));
    table.row("System", machine.distribution.empty()
                            ? machine.kernel
                            : fmt::format("{}, Linux {}", machine.distribution, machine.kernel));
    std::string place = machine.virtual_machine ? "virtual machine" : "";
    if (!machine.container.empty()) place += (place.empty() ? "" : ", ") + ("container (" + machine.container + ")");
    table.row("Runs in", place);
    table.row("Engine", run.engine);
    table.row("spdkio", run.tool_version);
    table.row("Started", run.started_at);
    table.code("Command", fmt::format("{}", fmt::join(run.command, " ")));
    html += table.html();
  }
  return html;
}

std::string default_title(const std::vector<JobRef>& jobs) {
  if (jobs.empty()) return "spdkio bench";
  if (jobs.size() > 1) return fmt::format("spdkio bench: {} jobs", jobs.size());
  const JobConfig& config = jobs.front().job->config;
  return fmt::format("{} {} on {}, depth {}", format_bytes(ByteCount{config.io_size_bytes}), config.workload,
                     config.bdev, config.queue_depth);
}

}  // namespace

std::string report_html(const std::vector<ReportInput>& inputs, std::string_view title) {
  const std::vector<JobRef> jobs = collect(inputs);
  const std::string heading = title.empty() ? default_title(jobs) : std::string{title};

  std::string subtitle;
  if (!inputs.empty()) {
    const BenchResult& first = inputs.front().result;
    std::vector<std::string> parts;
    for (const std::string& part : {first.started_at, first.machine.hostname, first.machine.cpu_model}) {
      if (!part.empty()) parts.push_back(part);
    }
    parts.push_back(fmt::format("engine {}", first.engine));
    subtitle = fmt::format("{}", fmt::join(parts, " · "));
  }
  std::string body = fmt::format(
      "<header><div><h1>{}</h1><p class=\"soft\">{}</p></div><button id=\"theme\" type=\"button\">Light or "
      "dark</button></header>\n",
      escape_html(heading), escape_html(subtitle));
  if (jobs.empty()) body += "<p class=\"card\" style=\"padding:16px\">No job ran.</p>\n";
  body += alerts(jobs);
  if (jobs.size() == 1) body += tiles(*jobs.front().job);
  if (jobs.size() > 1) body += summary_table(jobs);
  const std::string charts = time_charts(jobs) + percentile_chart(jobs) + histogram_charts(jobs);
  if (!charts.empty()) body += "<h2>Charts</h2>\n<div class=\"grid2\">\n" + charts + "</div>\n";
  body += percentile_table(jobs) + configuration(jobs) + run_details(inputs);
  body += "<footer>Written by spdkio. The page needs no network.</footer>\n";
  return html_page(heading, body);
}

}  // namespace spdkio::tool
