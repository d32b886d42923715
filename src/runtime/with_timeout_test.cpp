#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/stop_token.hpp>
#include <spdkio/runtime/with_timeout.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "runtime/test_support.hpp"

namespace spdkio {
namespace {

using namespace runtime_test;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Task<int> after(int turns, int value) {
  for (int i = 0; i < turns; ++i) co_await yield();
  co_return value;
}

TEST(WithTimeout, GivesTheValueInTime) {
  run([]() -> Task<> {
    EXPECT_EQ(co_await with_timeout(1h, after(0, 1)), 1);
    EXPECT_EQ(co_await with_timeout(1h, after(3, 2)), 2);
    auto unique = []() -> Task<std::unique_ptr<int>> { co_return std::make_unique<int>(3); };
    EXPECT_EQ(*co_await with_timeout(1h, unique()), 3);
    int target = 0;
    auto reference = [](int& t) -> Task<int&> { co_return t; };
    int& referred = co_await with_timeout(1h, reference(target));
    EXPECT_EQ(&referred, &target);
    co_await with_timeout(1h, yield());
  });
}

TEST(WithTimeout, ThrowsTimedOutWithWhatTheOperationSaid) {
  run([]() -> Task<> {
    auto cancelled = []() -> Task<> {
      try {
        co_await sleep_for(1h);
      } catch (const Error&) {
        throw Error(std::errc::operation_canceled)
            .with_operation("write")
            .with_device("disk0")
            .with_context("copying")
            .with_outcome(Outcome::may_have_executed);
      }
    };
    const auto result = co_await as_result(with_timeout(1ms, cancelled()));
    EXPECT_EQ(result.error().code(), std::errc::timed_out);
    EXPECT_EQ(result.error().operation(), "write");
    EXPECT_EQ(result.error().device(), "disk0");
    EXPECT_THAT(result.error().context(), ElementsAre("copying"));
    EXPECT_EQ(result.error().outcome(), Outcome::may_have_executed);
    EXPECT_THAT(result.error().what(), HasSubstr("0.001 s"));
  });
}

TEST(WithTimeout, OtherFailuresStayWhatTheyAre) {
  run([]() -> Task<> {
    auto fails = []() -> Task<> {
      co_await yield();
      throw std::runtime_error("other");
    };
    EXPECT_THAT((co_await as_result(with_timeout(1h, fails()))).error().what(), HasSubstr("other"));
    auto fails_when_stopped = []() -> Task<> {
      try {
        co_await sleep_for(1h);
      } catch (const Error&) {
        throw Error(std::errc::io_error, "while stopping");
      }
    };
    EXPECT_EQ((co_await as_result(with_timeout(1ms, fails_when_stopped()))).error().code(), std::errc::io_error);
  });
}

TEST(WithTimeout, ASuccessAfterTheDeadlineIsASuccess) {
  run([]() -> Task<> {
    auto finishes = []() -> Task<int> {
      try {
        co_await sleep_for(1h);
      } catch (const Error&) {
      }
      co_return 4;
    };
    EXPECT_EQ(co_await with_timeout(1ms, finishes()), 4);
  });
}

TEST(WithTimeout, NoTimeAtAllStartsWithAStopRequested) {
  run([]() -> Task<> {
    std::optional<bool> asked;
    auto looks = [](std::optional<bool>& result) -> Task<> {
      result = (co_await stop_token()).stop_requested();
      co_await sleep_for(1h);
    };
    EXPECT_EQ((co_await as_result(with_timeout(0ms, looks(asked)))).error().code(), std::errc::timed_out);
    EXPECT_EQ(asked, true);
    EXPECT_EQ((co_await as_result(with_timeout(-1s, sleep_for(1h)))).error().code(), std::errc::timed_out);
    EXPECT_EQ(co_await with_timeout(0ms, after(2, 1)), 1);
  });
}

TEST(WithTimeout, TheInnerOneThatIsSoonerWins) {
  run([]() -> Task<> {
    const auto inner = co_await as_result(with_timeout(1h, with_timeout(1ms, sleep_for(2h))));
    EXPECT_THAT(inner.error().what(), HasSubstr("0.001 s"));
    const auto outer = co_await as_result(with_timeout(2ms, with_timeout(1h, sleep_for(2h))));
    EXPECT_EQ(outer.error().code(), std::errc::timed_out);
    EXPECT_THAT(outer.error().what(), HasSubstr("0.002 s"));
  });
}

TEST(WithTimeout, AStopAboveIsNoTimeout) {
  run([]() -> Task<> {
    auto handle = CurrentThread::spawn([]() -> Task<> { co_await with_timeout(1h, sleep_for(2h)); }());
    co_await yield();
    handle.request_stop();
    EXPECT_EQ((co_await as_result(std::move(handle))).error().code(), std::errc::operation_canceled);
  });
}

TEST(WithTimeout, ADeadlineThatPassesInTheSameRoundAsTheEnd) {
  run([]() -> Task<> {
    // Both timers are due in one poll, in either order: the operation has ended or was cancelled, never both.
    for (int i = 0; i < 50; ++i) {
      const auto result = co_await as_result(with_timeout(10us, sleep_for(10us)));
      EXPECT_TRUE(result || result.error().code() == std::errc::timed_out);
    }
  });
}

}  // namespace
}  // namespace spdkio
