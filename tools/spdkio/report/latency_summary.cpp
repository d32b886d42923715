
#include "spdkio/report/latency_summary.hpp"

#include <algorithm>
#include <cmath>

namespace spdkio::tool {

const std::vector<double>& reported_percentiles() {
  static const std::vector<double> percents{1, 5, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 99.999};
  return percents;
}

std::uint64_t LatencySummary::percentile(double percent) const {
  std::uint64_t total = 0;
  for (const LatencyBucket& bucket : buckets) total += bucket.count;
  if (total == 0) return 0;
  const double wanted = std::clamp(percent, 0.0, 100.0) / 100.0 * static_cast<double>(total);
  double before = 0;
  for (const LatencyBucket& bucket : buckets) {
    const auto here = static_cast<double>(bucket.count);
    if (before + here >= wanted && bucket.count != 0) {
      const double part = (wanted - before) / here;
      const auto width = static_cast<double>(bucket.to_ns - bucket.from_ns);
      const auto value = bucket.from_ns + static_cast<std::uint64_t>(std::llround(part * width));
      return std::clamp(value, min_ns, std::max(min_ns, max_ns));
    }
    before += here;
  }
  return max_ns;
}

LatencySummary summarize(std::vector<LatencyBucket> buckets) {
  std::erase_if(buckets, [](const LatencyBucket& bucket) { return bucket.count == 0; });
  LatencySummary summary;
  summary.buckets = std::move(buckets);
  if (summary.buckets.empty()) return summary;
  double sum = 0;
  for (const LatencyBucket& bucket : summary.buckets) {
    summary.count += bucket.count;
    sum += static_cast<double>(bucket.count) *
           (static_cast<double>(bucket.from_ns) + static_cast<double>(bucket.to_ns)) / 2;
  }
  summary.mean_ns = sum / static_cast<double>(summary.count);
  summary.min_ns = summary.buckets.front().from_ns;
  summary.max_ns = summary.buckets.back().to_ns;
  for (const double percent : reported_percentiles()) {
    summary.percentiles.push_back({percent, summary.percentile(percent)});
  }
  return summary;
}

}  // namespace spdkio::tool
