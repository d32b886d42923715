// What a run says about latency: a few moments, percentiles, and the histogram they came from.
#pragma once

#include <cstdint>
#include <vector>

namespace spdkio::tool {

/// `count` operations took at least `from_ns` and less than `to_ns`.
struct LatencyBucket {
  std::uint64_t from_ns = 0;
  std::uint64_t to_ns = 0;
  std::uint64_t count = 0;
  bool operator==(const LatencyBucket&) const = default;
};

struct LatencyPercentile {
  double percent = 0;  ///< 0 to 100
  std::uint64_t latency_ns = 0;
  bool operator==(const LatencyPercentile&) const = default;
};

/// Latencies of one kind of operation. `buckets` rise, do not overlap, and hold only counts above zero.
struct LatencySummary {
  std::uint64_t count = 0;
  std::uint64_t min_ns = 0;
  std::uint64_t max_ns = 0;
  double mean_ns = 0;
  std::vector<LatencyPercentile> percentiles;
  std::vector<LatencyBucket> buckets;
  bool operator==(const LatencySummary&) const = default;

  /// The latency that `percent` of the operations did not exceed, interpolated inside its bucket and kept within
  /// `min_ns` and `max_ns`. 0 when there is nothing to ask.
  std::uint64_t percentile(double percent) const;
};

/// The percentiles that are reported, in rising order.
const std::vector<double>& reported_percentiles();

/// Counts, moments and the reported percentiles from a histogram. `mean_ns` is from the middles of the buckets;
/// `min_ns` and `max_ns` are the ends of the outermost ones. Callers that know these better set them afterwards.
LatencySummary summarize(std::vector<LatencyBucket> buckets);

}  // namespace spdkio::tool
