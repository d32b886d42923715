
#include "spdkio/terminal/progress_line.hpp"

#include <gtest/gtest.h>

#include <sstream>

namespace spdkio::tool {
namespace {

using namespace std::chrono_literals;

class ProgressLineTest : public testing::Test {
 protected:
  ProgressSample at(std::chrono::milliseconds when, double fraction, std::uint64_t bytes, std::uint64_t ios = 0) const {
    return {.now = start_ + when, .fraction = fraction, .ios = ios, .bytes = bytes};
  }

  std::ostringstream out_;
  std::chrono::steady_clock::time_point start_{1000s};
};

TEST_F(ProgressLineTest, PlainLinesComeAtTheirInterval) {
  {
    ProgressLine line{Terminal{out_, {}}, {.title = "copy", .plain_interval = 1s}, start_};
    line.update(at(500ms, 0.25, 1 << 20));
    EXPECT_EQ(out_.str(), "");
    line.update(at(1000ms, 0.5, 2 << 20));
    line.update(at(1100ms, 0.55, 2 << 20));
  }
  EXPECT_EQ(out_.str(), "copy: 50 %, 2 MiB/s, ETA 0:01\n");
}

TEST_F(ProgressLineTest, LiveLineIsRedrawnInPlaceAndTakenAway) {
  ProgressLine line{Terminal{out_, {.live = true}}, {.title = "bench"}, start_};
  line.update(at(500ms, 0.25, 1 << 20, 256));
  EXPECT_EQ(out_.str(), "\rbench  ####------------   25 %     512 IOPS     2 MiB/s  ETA 0:02\x1b[K");
  out_.str("");
  line.update(at(520ms, 0.26, 1 << 20, 256));
  EXPECT_EQ(out_.str(), "") << "drawn at most ten times a second";
  line.finish();
  EXPECT_EQ(out_.str(), "\r\x1b[K");
  out_.str("");
  line.update(at(5000ms, 1, 2 << 20));
  EXPECT_EQ(out_.str(), "");
}

TEST_F(ProgressLineTest, NarrowTerminalsLoseDecorationFirst) {
  for (const std::size_t width : {10UL, 20UL, 30UL, 40UL, 60UL, 200UL}) {
    std::ostringstream out;
    ProgressLine line{Terminal{out, {.live = true, .unicode = true, .width = width}}, {.title = "x"}, start_};
    for (int i = 1; i < 8; ++i) {
      out.str("");
      line.update(at(std::chrono::milliseconds{300 * i}, 0.1 * i, static_cast<std::uint64_t>(i) << 20, 100));
      std::string text = out.str();
      text = text.substr(1, text.rfind("\x1b[K") - 1);
      EXPECT_LT(display_width(text), width) << text;
      EXPECT_NE(text.find('%'), std::string::npos) << text;
    }
  }
}

TEST_F(ProgressLineTest, UnknownEndShowsTimePassed) {
  ProgressLine line{Terminal{out_, {}}, {.title = "copy", .plain_interval = 1s}, start_};
  line.update({.now = start_ + 65s, .bytes = 65 << 20, .note = "2 errors"});
  EXPECT_EQ(out_.str(), "copy: 1 MiB/s, 1:05 passed, 2 errors\n");
}

TEST_F(ProgressLineTest, DestructorClearsTheLine) {
  {
    ProgressLine{Terminal{out_, {.live = true}}, {.title = "x"}, start_}.update(at(300ms, 0.1, 1));
  }
  EXPECT_TRUE(out_.str().ends_with("\r\x1b[K"));
}

}  // namespace
}  // namespace spdkio::tool
