
#include "spdkio/terminal/human.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace spdkio::tool {
namespace {

TEST(Human, Latency) {
  EXPECT_EQ(human_latency(0), "0 ns");
  EXPECT_EQ(human_latency(850), "850 ns");
  EXPECT_EQ(human_latency(999.7), "1.00 us");
  EXPECT_EQ(human_latency(9996), "10.0 us");
  EXPECT_EQ(human_latency(-1), "-");
  EXPECT_EQ(human_latency(12345), "12.3 us");
  EXPECT_EQ(human_latency(1.2e6), "1.20 ms");
  EXPECT_EQ(human_latency(2.5e9), "2.50 s");
  EXPECT_EQ(human_latency(5e12), "5000 s");
}

TEST(Human, Clock) {
  EXPECT_EQ(human_clock(7), "0:07");
  EXPECT_EQ(human_clock(754), "12:34");
  EXPECT_EQ(human_clock(3723), "1:02:03");
  EXPECT_EQ(human_clock(1e12), "99:59:59");
  EXPECT_EQ(human_clock(std::numeric_limits<double>::quiet_NaN()), "-:--");
}

}  // namespace
}  // namespace spdkio::tool
