#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/runtime/stop_token.hpp>
#include <spdkio/runtime/with_timeout.hpp>

#include <chrono>
#include <vector>

#include "runtime/test_support.hpp"

namespace spdkio {
namespace {

using namespace runtime_test;
using ::testing::ElementsAre;

TEST(SleepFor, LastsAtLeastAsLong) {
  const auto start = std::chrono::steady_clock::now();
  run([]() -> Task<> { co_await sleep_for(5ms); });
  EXPECT_GE(std::chrono::steady_clock::now() - start, 5ms);
}

Task<> sleep_then_note(std::chrono::nanoseconds duration, std::vector<int>& order, int value) {
  co_await sleep_for(duration);
  order.push_back(value);
}

TEST(SleepFor, TheShorterEndsFirst) {
  run([]() -> Task<> {
    std::vector<int> order;
    Scope scope;
    scope.spawn(sleep_then_note(30ms, order, 3));
    scope.spawn(sleep_then_note(1ms, order, 1));
    scope.spawn(sleep_then_note(15ms, order, 2));
    co_await scope.join();
    EXPECT_THAT(order, ElementsAre(1, 2, 3));
  });
}

TEST(SleepFor, ZeroLetsOthersRun) {
  run([]() -> Task<> {
    bool ran = false;
    auto other = CurrentThread::spawn([](bool& flag) -> Task<> {
      flag = true;
      co_return;
    }(ran));
    while (!ran) co_await sleep_for(0ns);
    co_await std::move(other);
    co_await sleep_for(-1h);
  });
}

TEST(SleepFor, AStopEndsItBeforeAndDuring) {
  run([]() -> Task<> {
    Scope scope;
    bool cancelled = false;
    auto sleeper = [](bool& flag) -> Task<> { flag = is_cancelled((co_await as_result(sleep_for(1h))).error()); };
    scope.spawn(sleeper(cancelled));
    scope.request_stop();
    co_await scope.join();
    EXPECT_TRUE(cancelled);

    cancelled = false;
    co_await with_timeout(0ms, sleeper(cancelled));
    EXPECT_TRUE(cancelled);
  });
}

TEST(SleepFor, AStopAfterItsEndHasNoEffect) {
  run([]() -> Task<> {
    auto sleeps_and_looks = []() -> Task<bool> {
      co_await sleep_for(1us);
      // The stop comes while nothing is waited for.
      while (!(co_await stop_token()).stop_requested()) co_await yield();
      co_return true;
    };
    EXPECT_TRUE(co_await with_timeout(1ms, sleeps_and_looks()));
  });
}

TEST(SleepFor, AHugeDurationDoesNotWrap) {
  run([]() -> Task<> {
    const auto result = co_await as_result(with_timeout(1ms, sleep_for(std::chrono::nanoseconds::max())));
    EXPECT_EQ(result.error().code(), std::errc::timed_out);
  });
}

TEST(Yield, TakesTurnsInOrder) {
  run([]() -> Task<> {
    std::vector<int> order;
    auto twice = [](std::vector<int>& to, int value) -> Task<> {
      to.push_back(value);
      co_await yield();
      to.push_back(value);
    };
    Scope scope;
    scope.spawn(twice(order, 1));
    scope.spawn(twice(order, 2));
    co_await scope.join();
    EXPECT_THAT(order, ElementsAre(1, 2, 1, 2));
  });
}

}  // namespace
}  // namespace spdkio
