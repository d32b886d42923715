
#include "spdkio/terminal/terminal_histogram.hpp"

#include "spdkio/terminal/bars.hpp"
#include "spdkio/terminal/human.hpp"
#include "spdkio/terminal/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace spdkio::tool {
namespace {

using Ladder = std::vector<double>;

// From fine to coarse; the first one whose rows fit is taken.
const std::vector<Ladder>& ladders() {
  static const std::vector<Ladder> all{
      {1, 1.1, 1.2, 1.35, 1.5, 1.65, 1.8, 2, 2.2, 2.5, 2.75, 3, 3.3, 3.7, 4, 4.5, 5, 5.5, 6, 6.5, 7, 8, 9},
      {1, 1.2, 1.5, 1.8, 2.2, 2.7, 3.3, 4, 5, 6, 7, 8.5},
      {1, 1.5, 2, 3, 5, 7},
      {1, 2, 5},
      {1, 3},
      {1},
  };
  return all;
}

std::vector<std::uint64_t> bounds_over(const Ladder& ladder, double low, double high) {
  std::vector<std::uint64_t> bounds;
  for (double decade = std::pow(10.0, std::floor(std::log10(low))); decade <= high * 10; decade *= 10) {
    for (const double step : ladder) {
      const auto bound = static_cast<std::uint64_t>(std::llround(decade * step));
      if (bounds.empty() || bound > bounds.back()) bounds.push_back(bound);
    }
  }
  // Keep one bound at or below the low end and one above the high end.
  const auto first = std::upper_bound(bounds.begin(), bounds.end(), static_cast<std::uint64_t>(low));
  if (first != bounds.begin()) bounds.erase(bounds.begin(), first - 1);
  const auto last = std::upper_bound(bounds.begin(), bounds.end(), static_cast<std::uint64_t>(high));
  if (last != bounds.end()) bounds.erase(last + 1, bounds.end());
  return bounds;
}

std::uint64_t middle(const LatencyBucket& bucket) { return bucket.from_ns + (bucket.to_ns - bucket.from_ns) / 2; }

}  // namespace

std::vector<LatencyBucket> ladder_buckets(const LatencySummary& summary, std::size_t max_rows) {
  if (summary.buckets.empty() || max_rows == 0) return {};
  const double low = std::max<double>(1, static_cast<double>(middle(summary.buckets.front())));
  const double high = std::max<double>(low, static_cast<double>(middle(summary.buckets.back())));
  std::vector<std::uint64_t> bounds;
  for (const Ladder& ladder : ladders()) {
    bounds = bounds_over(ladder, low, high);
    if (bounds.size() - 1 <= max_rows) break;
  }
  std::vector<LatencyBucket> rows;
  for (std::size_t i = 0; i + 1 < bounds.size(); ++i) rows.push_back({bounds[i], bounds[i + 1], 0});
  for (const LatencyBucket& bucket : summary.buckets) {
    const auto above = std::upper_bound(bounds.begin(), bounds.end(), middle(bucket));
    const auto index = above == bounds.begin() ? 0 : static_cast<std::size_t>(above - bounds.begin() - 1);
    rows[std::min(index, rows.size() - 1)].count += bucket.count;
  }
  return rows;
}

std::string percent_name(double percent) { return fmt::format("{:g}", percent); }

void print_latency_histogram(const Terminal& terminal, const LatencySummary& summary) {
  if (summary.count == 0) {
    terminal.line("  no latencies were measured");
    return;
  }
  const std::vector<LatencyBucket> rows = ladder_buckets(summary, 18);
  std::uint64_t greatest = 1;
  for (const LatencyBucket& row : rows) greatest = std::max(greatest, row.count);

  const std::size_t bar_width = std::clamp<std::size_t>(terminal.traits().width, 60, 110) - 48;
  Table table{{{"from", Align::right}, {"to", Align::right}, {"share", Align::right}, {"sum", Align::right}, {""}},
              "  "};
  std::uint64_t sum = 0;
  for (const LatencyBucket& row : rows) {
    sum += row.count;
    const double share = static_cast<double>(row.count) / static_cast<double>(summary.count);
    table.add_row(
        {human_latency(static_cast<double>(row.from_ns)),
         human_latency(static_cast<double>(row.to_ns)),
         fmt::format("{:.2f} %", 100 * share),
         fmt::format("{:.2f} %", 100 * static_cast<double>(sum) / static_cast<double>(summary.count)),
         {bar(terminal, static_cast<double>(row.count) / static_cast<double>(greatest), bar_width), Tone::accent}});
  }
  table.print(terminal);

  std::string line = fmt::format("  min {}  mean {}", human_latency(static_cast<double>(summary.min_ns)),
                                 human_latency(summary.mean_ns));
  for (const double percent : {50.0, 90.0, 99.0, 99.9, 99.99}) {
    line +=
        fmt::format("  p{} {}", percent_name(percent), human_latency(static_cast<double>(summary.percentile(percent))));
  }
  line += fmt::format("  max {}", human_latency(static_cast<double>(summary.max_ns)));
  terminal.line(line);
}

}  // namespace spdkio::tool
