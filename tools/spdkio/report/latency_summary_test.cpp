
#include "spdkio/report/latency_summary.hpp"

#include <gtest/gtest.h>

namespace spdkio::tool {
namespace {

TEST(LatencySummary, PercentilesInterpolateInsideABucket) {
  const LatencySummary summary = summarize({{0, 100, 50}, {100, 200, 0}, {200, 300, 50}});
  EXPECT_EQ(summary.count, 100U);
  EXPECT_EQ(summary.buckets.size(), 2U) << "empty buckets are dropped";
  EXPECT_EQ(summary.percentile(25), 50U);
  EXPECT_EQ(summary.percentile(50), 100U);
  EXPECT_EQ(summary.percentile(75), 250U);
  EXPECT_EQ(summary.percentile(100), 300U);
  EXPECT_EQ(summary.percentile(200), 300U);
  EXPECT_DOUBLE_EQ(summary.mean_ns, 150);
}

TEST(LatencySummary, PercentilesStayBetweenMinimumAndMaximum) {
  LatencySummary summary = summarize({{64, 128, 3}});
  summary.min_ns = 90;
  summary.max_ns = 100;
  EXPECT_EQ(summary.percentile(0), 90U);
  EXPECT_EQ(summary.percentile(99.9), 100U);
}

TEST(LatencySummary, NothingMeasured) {
  const LatencySummary summary = summarize({});
  EXPECT_EQ(summary.count, 0U);
  EXPECT_EQ(summary.percentile(50), 0U);
  EXPECT_TRUE(summary.percentiles.empty());
}

TEST(LatencySummary, ReportedPercentilesNeverFall) {
  const LatencySummary summary = summarize({{1000, 1100, 990}, {5000, 5200, 9}, {90000, 91000, 1}});
  std::uint64_t last = 0;
  for (const LatencyPercentile& percentile : summary.percentiles) {
    EXPECT_GE(percentile.latency_ns, last) << percentile.percent;
    last = percentile.latency_ns;
  }
  EXPECT_GE(summary.percentile(99.95), 90000U);
}

}  // namespace
}  // namespace spdkio::tool
