
#include "spdkio/terminal/terminal_histogram.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <sstream>

namespace spdkio::tool {
namespace {

LatencySummary spread(std::uint64_t from_ns, std::uint64_t to_ns, double factor) {
  std::vector<LatencyBucket> buckets;
  for (auto at = static_cast<double>(from_ns); at < static_cast<double>(to_ns); at *= factor) {
    buckets.push_back({static_cast<std::uint64_t>(at), static_cast<std::uint64_t>(at * factor), 10});
  }
  return summarize(std::move(buckets));
}

TEST(TerminalHistogram, LadderKeepsEveryOperationInAtMostSoManyRows) {
  for (const auto& summary : {spread(1000, 1300, 1.02), spread(100, 90'000'000'000, 1.3), spread(5, 6, 1.5)}) {
    const auto rows = ladder_buckets(summary, 18);
    ASSERT_FALSE(rows.empty());
    EXPECT_LE(rows.size(), 18U);
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      EXPECT_LT(rows[i].from_ns, rows[i].to_ns);
      if (i > 0) {
        EXPECT_EQ(rows[i].from_ns, rows[i - 1].to_ns);
      }
      count += rows[i].count;
    }
    EXPECT_EQ(count, summary.count);
    EXPECT_GT(rows.front().count, 0U) << "no empty rows in front";
    EXPECT_GT(rows.back().count, 0U) << "no empty rows at the end";
  }
}

TEST(TerminalHistogram, NarrowDistributionsGetFineRows) {
  EXPECT_GE(ladder_buckets(spread(10'000, 20'000, 1.01), 18).size(), 6U);
}

TEST(TerminalHistogram, ZeroLatenciesHaveARow) {
  const auto rows = ladder_buckets(summarize({{0, 1, 4}}), 18);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows.front().count, 4U);
}

TEST(TerminalHistogram, PrintsSharesAndPercentiles) {
  std::ostringstream out;
  print_latency_histogram(Terminal{out, {}}, summarize({{1000, 2000, 75}, {2000, 4000, 25}}));
  const std::string text = out.str();
  EXPECT_NE(text.find("100.00 %"), std::string::npos) << text;
  EXPECT_NE(text.find("p99.99 "), std::string::npos) << text;
  EXPECT_NE(text.find("####"), std::string::npos) << text;
}

TEST(TerminalHistogram, SaysWhenNothingWasMeasured) {
  std::ostringstream out;
  print_latency_histogram(Terminal{out, {}}, {});
  EXPECT_EQ(out.str(), "  no latencies were measured\n");
}

TEST(TerminalHistogram, PercentNames) {
  EXPECT_EQ(percent_name(50), "50");
  EXPECT_EQ(percent_name(99.999), "99.999");
}

}  // namespace
}  // namespace spdkio::tool
