#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/stop_token.hpp>
#include <spdkio/runtime/when_all.hpp>
#include <spdkio/runtime/with_timeout.hpp>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/test_support.hpp"

namespace spdkio {
namespace {

using namespace runtime_test;
using ::testing::ElementsAre;

Task<int> after(int turns, int value) {
  for (int i = 0; i < turns; ++i) co_await yield();
  co_return value;
}
Task<int> fail_after(int turns, const char* text) {
  for (int i = 0; i < turns; ++i) co_await yield();
  throw std::runtime_error(text);
}
Task<> fail_at_once(bool after_a_turn = false) {
  if (after_a_turn) co_await yield();
  throw std::runtime_error("at once");
}
Task<> until_stopped(bool& stopped) {
  try {
    co_await sleep_for(1h);
  } catch (const Error& error) {
    stopped = is_cancelled(error);
    throw;
  }
}

TEST(WhenAll, GivesATupleOfValues) {
  run([]() -> Task<> {
    auto text = []() -> Task<std::unique_ptr<std::string>> {
      co_await yield();
      co_return std::make_unique<std::string>("s");
    };
    auto nothing = []() -> Task<> { co_await yield(); };
    auto [a, b, c, d] = co_await when_all(after(3, 1), text(), nothing(), after(0, 2));
    EXPECT_EQ(a, 1);
    EXPECT_EQ(*b, "s");
    EXPECT_EQ(c, std::monostate{});
    EXPECT_EQ(d, 2);
  });
}

TEST(WhenAll, References) {
  run([]() -> Task<> {
    int x = 1;
    int y = 2;
    auto reference = [](int& r) -> Task<int&> {
      co_await yield();
      co_return r;
    };
    auto [a, b] = co_await when_all(reference(x), reference(y));
    a = 5;
    EXPECT_EQ(x, 5);
    EXPECT_EQ(&b, &y);
    std::vector<Task<int&>> many;
    many.push_back(reference(x));
    many.push_back(reference(y));
    std::vector<std::reference_wrapper<int>> all = co_await when_all(std::move(many));
    EXPECT_EQ(&all[1].get(), &y);
  });
}

TEST(WhenAll, NothingAndOne) {
  run([]() -> Task<> {
    co_await when_all();
    auto [one] = co_await when_all(after(0, 1));
    EXPECT_EQ(one, 1);
    EXPECT_TRUE((co_await when_all(std::vector<Task<int>>{})).empty());
    co_await when_all(std::vector<Task<>>{});
  });
}

TEST(WhenAll, RunsThemAtOnce) {
  run([]() -> Task<> {
    // Each waits for the other: in sequence they would never end.
    Event first;
    Event second;
    auto meet = [](Event& mine, Event& theirs) -> Task<> {
      mine.set();
      co_await theirs.wait();
    };
    co_await when_all(meet(first, second), meet(second, first));
  });
}

TEST(WhenAll, AVectorKeepsTheOrder) {
  run([]() -> Task<> {
    std::vector<Task<int>> tasks;
    for (int i = 0; i < 5; ++i) tasks.push_back(after(5 - i, i));
    EXPECT_THAT(co_await when_all(std::move(tasks)), ElementsAre(0, 1, 2, 3, 4));
  });
}

TEST(WhenAll, FirstFailureStopsTheOthersAndIsThrownAfterAllHaveEnded) {
  run([]() -> Task<> {
    bool stopped = false;
    std::string what;
    try {
      co_await when_all(until_stopped(stopped), fail_after(2, "second"), fail_after(1, "first"));
    } catch (const std::runtime_error& error) {
      what = error.what();
    }
    EXPECT_EQ(what, "first");
    EXPECT_TRUE(stopped);
  });
}

TEST(WhenAll, AFailureDuringTheStartsStopsThoseStartedLater) {
  run([]() -> Task<> {
    bool stopped = false;
    std::vector<Task<>> tasks;
    tasks.push_back(fail_at_once());
    tasks.push_back(until_stopped(stopped));
    EXPECT_FALSE((co_await as_result(when_all(std::move(tasks)))).has_value());
    EXPECT_TRUE(stopped);
  });
}

TEST(WhenAll, AStopAboveReachesAll) {
  run([]() -> Task<> {
    bool a = false;
    bool b = false;
    const auto result = co_await as_result(with_timeout(1ms, when_all(until_stopped(a), until_stopped(b))));
    EXPECT_EQ(result.error().code(), std::errc::timed_out);
    EXPECT_TRUE(a && b);
  });
}

TEST(WhenAll, AStopRequestedBeforeReachesAll) {
  run([]() -> Task<> {
    bool a = false;
    bool b = false;
    EXPECT_FALSE((co_await as_result(with_timeout(0ms, when_all(until_stopped(a), until_stopped(b))))).has_value());
    EXPECT_TRUE(a && b);
  });
}

TEST(WhenAll, NestsAndLoopsWithoutStack) {
  run([]() -> Task<> {
    auto [pair, three] = co_await when_all(when_all(after(1, 1), after(2, 2)), after(0, 3));
    EXPECT_EQ(std::get<1>(pair), 2);
    EXPECT_EQ(three, 3);
    long sum = 0;
    for (int i = 0; i < 100'000; ++i) {
      auto [a, b] = co_await when_all(after(0, 1), after(0, 1));
      sum += a + b;
    }
    EXPECT_EQ(sum, 200'000);
  });
}

TEST(WhenAll, LeavesNothingLinkedToTheStopAbove) {
  run([]() -> Task<> {
    bool stopped = false;
    auto body = [](bool& flag) -> Task<> {
      co_await when_all(after(1, 1), after(2, 2));  // gone when the stop comes
      co_await until_stopped(flag);
    };
    EXPECT_FALSE((co_await as_result(with_timeout(5ms, body(stopped)))).has_value());
    EXPECT_TRUE(stopped);
  });
}

}  // namespace
}  // namespace spdkio
