#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/when_any.hpp>
#include <spdkio/runtime/with_timeout.hpp>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>

#include "runtime/test_support.hpp"

namespace spdkio {
namespace {

using namespace runtime_test;

Task<int> after(int turns, int value) {
  for (int i = 0; i < turns; ++i) co_await yield();
  co_return value;
}
Task<> until_stopped(bool& stopped) {
  try {
    co_await sleep_for(1h);
  } catch (const Error& error) {
    stopped = is_cancelled(error);
    throw;
  }
}

TEST(WhenAny, GivesTheFirstAndStopsTheOthers) {
  run([]() -> Task<> {
    bool stopped = false;
    const auto result = co_await when_any(until_stopped(stopped), after(2, 5));
    EXPECT_EQ(result.index(), 1u);
    EXPECT_EQ(std::get<1>(result), 5);
    EXPECT_TRUE(stopped);
  });
}

TEST(WhenAny, VoidMoveOnlyReferencesAndEqualTypes) {
  run([]() -> Task<> {
    auto unique = []() -> Task<std::unique_ptr<int>> { co_return std::make_unique<int>(3); };
    auto owned = co_await when_any(unique(), after(5, 1));
    EXPECT_EQ(*std::get<0>(owned), 3);
    int target = 0;
    auto reference = [](int& t) -> Task<int&> { co_return t; };
    auto referred = co_await when_any(after(5, 1), reference(target));
    std::get<1>(referred).get() = 4;
    EXPECT_EQ(target, 4);
    const auto same = co_await when_any(after(3, 1), after(1, 2), after(2, 3));
    EXPECT_EQ(same.index(), 1u);
    EXPECT_EQ(std::get<1>(same), 2);
    EXPECT_EQ((co_await when_any(yield())).index(), 0u);
  });
}

TEST(WhenAny, WaitsForTheRealEndOfTheOthers) {
  run([]() -> Task<> {
    bool ended = false;
    auto stubborn = [](bool& flag) -> Task<> {
      for (int i = 0; i < 10; ++i) co_await yield();  // hears of no stop
      flag = true;
    };
    EXPECT_EQ((co_await when_any(stubborn(ended), after(1, 1))).index(), 1u);
    EXPECT_TRUE(ended);
  });
}

TEST(WhenAny, AFailureThatComesFirstIsThrown) {
  run([]() -> Task<> {
    auto fail = []() -> Task<> {
      co_await yield();
      throw std::runtime_error("first");
    };
    bool stopped = false;
    std::string what;
    try {
      co_await when_any(fail(), until_stopped(stopped));
    } catch (const std::runtime_error& error) {
      what = error.what();
    }
    EXPECT_EQ(what, "first");
    EXPECT_TRUE(stopped);
  });
}

TEST(WhenAny, AFailureThatComesLaterIsDropped) {
  run([]() -> Task<> {
    auto fail = []() -> Task<> {
      for (int i = 0; i < 3; ++i) co_await yield();
      throw std::runtime_error("late");
    };
    EXPECT_EQ((co_await when_any(fail(), after(1, 1))).index(), 1u);
  });
}

TEST(WhenAny, OneThatIsThereAtOnceStopsThoseStartedAfterIt) {
  run([]() -> Task<> {
    bool stopped = false;
    EXPECT_EQ((co_await when_any(after(0, 1), until_stopped(stopped))).index(), 0u);
    EXPECT_TRUE(stopped);
  });
}

TEST(WhenAny, TwoThatEndInTheSameRoundHaveOneWinner) {
  run([]() -> Task<> {
    Event event;
    auto opener = [](Event& e) -> Task<> {
      co_await yield();
      e.set();
    };
    auto handle = CurrentThread::spawn(opener(event));
    const auto result = co_await when_any(event.wait(), event.wait());
    EXPECT_EQ(result.index(), 0u);
    co_await std::move(handle);
  });
}

TEST(WhenAny, ATimeoutBesideIt) {
  run([]() -> Task<> {
    bool a = false;
    bool b = false;
    const auto result = co_await as_result(with_timeout(1ms, when_any(until_stopped(a), until_stopped(b))));
    EXPECT_EQ(result.error().code(), std::errc::timed_out);
    EXPECT_TRUE(a && b);
  });
}

}  // namespace
}  // namespace spdkio
