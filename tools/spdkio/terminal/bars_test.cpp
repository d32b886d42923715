
#include "spdkio/terminal/bars.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>
#include <vector>

namespace spdkio::tool {
namespace {

class Bars : public testing::Test {
 protected:
  std::ostringstream out_;
  Terminal unicode_{out_, {.unicode = true}};
  Terminal ascii_{out_, {}};
};

TEST_F(Bars, BarUsesEighthsOfAColumn) {
  EXPECT_EQ(bar(unicode_, 1.0, 3), "\u2588\u2588\u2588");
  EXPECT_EQ(bar(unicode_, 0.5, 3), "\u2588\u258C");
  EXPECT_EQ(bar(unicode_, 1e-9, 3), "\u258F") << "something is never shown as nothing";
  EXPECT_EQ(bar(unicode_, 0.0, 3), "");
  EXPECT_EQ(bar(unicode_, 7.0, 2), "\u2588\u2588");
  EXPECT_EQ(bar(unicode_, std::nan(""), 2), "");
}

TEST_F(Bars, AsciiStandsIn) {
  EXPECT_EQ(bar(ascii_, 0.5, 4), "##");
  EXPECT_EQ(bar(ascii_, 1e-9, 4), ".");
  EXPECT_EQ(gauge(ascii_, 0.5, 4), "##--");
}

TEST_F(Bars, GaugeIsAlwaysAsWideAsAsked) {
  for (const double fraction : {0.0, 0.01, 0.33, 0.5, 0.99, 1.0}) {
    EXPECT_EQ(display_width(gauge(unicode_, fraction, 12)), 12U) << fraction;
    EXPECT_EQ(display_width(gauge(ascii_, fraction, 12)), 12U) << fraction;
  }
}

TEST_F(Bars, SparklineScalesToItsGreatestValue) {
  EXPECT_EQ(sparkline(unicode_, std::vector<double>{0, 50, 100}), "\u2581\u2585\u2588");
  EXPECT_EQ(sparkline(unicode_, std::vector<double>{0, 0}), "\u2581\u2581");
  EXPECT_EQ(sparkline(ascii_, std::vector<double>{100, std::nan(""), 1}), "#__");
}

}  // namespace
}  // namespace spdkio::tool
