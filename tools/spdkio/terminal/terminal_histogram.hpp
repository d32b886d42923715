// The latency distribution of a run as bars in the terminal.
#pragma once

#include "spdkio/report/latency_summary.hpp"
#include "spdkio/terminal/terminal.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace spdkio::tool {

/// Fewer, wider buckets for people: bounds on a 1-2-5 (or finer, or coarser) ladder over the range where the operations
/// are, at most `max_rows`. A bucket that crosses a bound counts where its middle is. Rows between others may be empty.
std::vector<LatencyBucket> ladder_buckets(const LatencySummary& summary, std::size_t max_rows);

/// Prints one row per bucket (bounds, bar, share, cumulative share), then the percentiles. Says so when nothing was
/// measured.
void print_latency_histogram(const Terminal& terminal, const LatencySummary& summary);

/// `50`, `99.9`, `99.999`: a percentile without trailing zeros.
std::string percent_name(double percent);

}  // namespace spdkio::tool
