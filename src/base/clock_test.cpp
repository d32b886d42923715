#include <spdkio/base/clock.hpp>

#include "base/clock_scale.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace spdkio {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

TEST(Clock, NeverGoesBackOnOneThread) {
  std::uint64_t last = ticks();
  for (int i = 0; i < 10'000; ++i) {
    const std::uint64_t now = ticks();
    ASSERT_GE(now, last);
    last = now;
  }
}

TEST(Clock, ReadsOneOfTheKnownSources) {
  const auto source = clock_source();
  EXPECT_TRUE(source == "tsc" || source == "cntvct" || source == "steady") << source;
  if (source == "steady") {
    EXPECT_EQ(ticks_per_second(), 1'000'000'000u);
  }
}

TEST(Clock, AThousandMillisecondsAreASecond) {
  EXPECT_GE(ticks_per_second(), 1'000'000u);
  EXPECT_EQ(ticks_from(1s), ticks_per_second());
  EXPECT_EQ(ns_from_ticks(ticks_per_second()), 1s);
}

TEST(Clock, CalibrationIsTheSameForAllThreads) {
  clock_init();
  const std::uint64_t expected = ticks_per_second();
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([expected] {
      clock_init();
      EXPECT_EQ(ticks_per_second(), expected);
    });
  }
}

// Compares the two clocks over an interval measured by both; holds however slowly the machine runs.
TEST(Clock, AgreesWithTheSteadyClock) {
  const auto steady_before = std::chrono::steady_clock::now();
  const std::uint64_t start = ticks();
  const auto steady_start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - steady_start < 20ms) {
  }
  const auto steady_end = std::chrono::steady_clock::now();
  const std::uint64_t end = ticks();
  const auto steady_after = std::chrono::steady_clock::now();
  const nanoseconds passed = ns_from_ticks(end - start);
  EXPECT_GE(passed * 1.01, steady_end - steady_start);
  EXPECT_LE(passed * 0.99, steady_after - steady_before);
}

TEST(Clock, DeadlinesBeyondTheEndNeverCome) {
  EXPECT_EQ(ticks_after(10, 0ns), 10u);
  EXPECT_EQ(ticks_after(10, 1s), 10 + ticks_per_second());
  EXPECT_EQ(ticks_after(UINT64_MAX - 5, 1s), UINT64_MAX);
}

constexpr std::uint64_t frequencies[] = {
    1, 24'000'000, 62'500'000, 1'000'000'000, 2'445'423'573, 3'999'999'937, 10'000'000'000};

TEST(ClockScale, RoundTripsAreNeverShort) {
  for (const std::uint64_t hz : frequencies) {
    const ClockScale scale(hz);
    for (const nanoseconds d : {1ns, 7ns, 1000ns, 999'999'999ns, nanoseconds{1s}, nanoseconds{24h * 365}}) {
      EXPECT_GE(scale.to_ns(scale.from_ns(d)), d) << hz << ' ' << d.count();
    }
  }
}

TEST(ClockScale, RoundTripsAreExactWhereTicksAreShorterThanNanoseconds) {
  const ClockScale scale(2'445'423'573);
  for (const nanoseconds d : {1ns, 7ns, 1000ns, 999'999'999ns, nanoseconds{1s}, nanoseconds{24h}}) {
    EXPECT_EQ(scale.to_ns(scale.from_ns(d)), d) << d.count();
  }
}

TEST(ClockScale, MatchesExactArithmetic) {
  __extension__ using Wide = unsigned __int128;
  for (const std::uint64_t hz : frequencies) {
    const ClockScale scale(hz);
    for (std::uint64_t value = 1; value < UINT64_MAX / 11; value = value * 11 + 3) {
      const Wide exact_ns = Wide{value} * 1'000'000'000 / hz;
      const std::uint64_t expected_ns = exact_ns > INT64_MAX ? INT64_MAX : static_cast<std::uint64_t>(exact_ns);
      const auto ns = static_cast<std::uint64_t>(scale.to_ns(value).count());
      EXPECT_LE(ns - expected_ns, 2u) << hz << ' ' << value;

      if (value > INT64_MAX) continue;
      const Wide exact_ticks = (Wide{value} * hz + 999'999'999) / 1'000'000'000;
      const std::uint64_t expected_ticks =
          exact_ticks > UINT64_MAX ? UINT64_MAX : static_cast<std::uint64_t>(exact_ticks);
      const std::uint64_t ticks = scale.from_ns(nanoseconds{static_cast<std::int64_t>(value)});
      EXPECT_LE(ticks > expected_ticks ? ticks - expected_ticks : expected_ticks - ticks, 2u) << hz << ' ' << value;
    }
  }
}

TEST(ClockScale, SaturatesInsteadOfWrapping) {
  const ClockScale fast(10'000'000'000);
  EXPECT_EQ(fast.from_ns(nanoseconds::max()), UINT64_MAX);
  EXPECT_EQ(fast.from_ns(nanoseconds{-1}), 0u);
  EXPECT_EQ(fast.from_ns(nanoseconds::min()), 0u);
  EXPECT_EQ(fast.from_ns(0ns), 0u);
  const ClockScale slow(24'000'000);
  EXPECT_EQ(slow.to_ns(UINT64_MAX), nanoseconds::max());
  EXPECT_EQ(slow.to_ns(0), 0ns);
  EXPECT_EQ(slow.from_ns(1ns), 1u);
}

TEST(ClockScale, MultiplyDivide) {
  EXPECT_EQ(ClockScale::multiply_divide(UINT64_MAX, 10, 20), UINT64_MAX / 2);
  EXPECT_EQ(ClockScale::multiply_divide(UINT64_MAX, 10, 5), UINT64_MAX);
  EXPECT_EQ(ClockScale::multiply_divide(7, 3, 2), 10u);
}

}  // namespace
}  // namespace spdkio
