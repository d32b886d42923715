#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/for_each_concurrent.hpp>
#include <spdkio/runtime/stop_token.hpp>
#include <spdkio/runtime/with_timeout.hpp>

#include <algorithm>
#include <memory>
#include <ranges>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "runtime/test_support.hpp"

namespace spdkio {
namespace {

using namespace runtime_test;
using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

TEST(ForEachConcurrent, TouchesEveryElementWithinTheLimit) {
  for (const std::size_t limit : {0u, 1u, 3u, 100u}) {
    run([&]() -> Task<> {
      std::vector<int> items{1, 2, 3, 4, 5, 6, 7};
      std::size_t now = 0;
      std::size_t peak = 0;
      auto work = [&](int& item) -> Task<> {
        peak = std::max(peak, ++now);
        co_await yield();
        item *= 10;
        --now;
      };
      co_await for_each_concurrent(limit, items, work);
      EXPECT_THAT(items, ElementsAre(10, 20, 30, 40, 50, 60, 70));
      EXPECT_EQ(peak, std::clamp<std::size_t>(limit, 1, 7));
    });
  }
}

TEST(ForEachConcurrent, RangesOfEveryKind) {
  run([]() -> Task<> {
    int sum = 0;
    auto add = [&](int value) -> Task<> {
      co_await yield();
      sum += value;
    };
    co_await for_each_concurrent(2, std::views::iota(1, 5), add);
    EXPECT_EQ(sum, 10);
    co_await for_each_concurrent(2, std::vector<int>{}, add);
    std::vector<int> moved_in{5, 6};
    co_await for_each_concurrent(2, std::move(moved_in), add);
    EXPECT_EQ(sum, 21);
    std::istringstream text("1 2 3");
    co_await for_each_concurrent(2, std::views::istream<int>(text), add);  // one pass
    EXPECT_EQ(sum, 27);
    std::vector<std::string> words{"a", "bb"};
    std::size_t length = 0;
    auto measure = [&](const std::string& word) -> Task<> {
      co_await yield();
      length += word.size();
    };
    co_await for_each_concurrent(8, words, measure);
    EXPECT_EQ(length, 3u);
  });
}

TEST(ForEachConcurrent, ManyThatNeverSuspendNeedNoStack) {
  run([]() -> Task<> {
    long sum = 0;
    auto add = [&](int) -> Task<> {
      ++sum;
      co_return;
    };
    co_await for_each_concurrent(4, std::views::iota(0, 300'000), add);
    EXPECT_EQ(sum, 300'000);
  });
}

TEST(ForEachConcurrent, TheFirstFailureStartsNoMoreAndIsThrown) {
  run([]() -> Task<> {
    std::vector<int> started;
    int cancelled = 0;
    auto work = [&](int item) -> Task<> {
      started.push_back(item);
      if (item == 2) {
        co_await yield();
        throw std::runtime_error("item 2");
      }
      const auto slept = co_await as_result(sleep_for(1h));
      if (!slept && is_cancelled(slept.error())) ++cancelled;
    };
    std::string what;
    try {
      co_await for_each_concurrent(3, std::views::iota(1, 100), work);
    } catch (const std::runtime_error& error) {
      what = error.what();
    }
    EXPECT_EQ(what, "item 2");
    EXPECT_THAT(started, ElementsAre(1, 2, 3));
    EXPECT_EQ(cancelled, 2);
  });
}

TEST(ForEachConcurrent, AStopHalfWayIsAnErrorEvenIfWhatRanEndedWell) {
  run([]() -> Task<> {
    int done = 0;
    auto deaf = [&](int) -> Task<> {  // ends well whatever is requested
      for (int i = 0; i < 3; ++i) co_await yield();
      ++done;
    };
    auto all = [&]() -> Task<> { co_await for_each_concurrent(2, std::views::iota(0, 1'000'000'000), deaf); };
    const auto result = co_await as_result(with_timeout(2ms, all()));
    EXPECT_EQ(result.error().code(), std::errc::timed_out);
    EXPECT_LT(done, 1'000'000'000);
  });
}

TEST(ForEachConcurrent, AStopRequestedBeforeStartsNothing) {
  run([]() -> Task<> {
    int started = 0;
    auto work = [&](int) -> Task<> {
      ++started;
      co_return;
    };
    auto some = [&]() -> Task<> { co_await for_each_concurrent(2, std::views::iota(0, 3), work); };
    auto none = [&]() -> Task<> { co_await for_each_concurrent(2, std::views::iota(0, 0), work); };
    EXPECT_EQ((co_await as_result(with_timeout(0ms, some()))).error().code(), std::errc::timed_out);
    EXPECT_TRUE((co_await as_result(with_timeout(0ms, none()))).has_value());
    EXPECT_EQ(started, 0);
  });
}

struct ThrowingRange {
  struct iterator {
    using value_type = int;
    using difference_type = std::ptrdiff_t;
    int at = 0;
    int operator*() const { return at; }
    iterator& operator++() {
      if (at == 2) throw std::runtime_error("iterator");
      ++at;
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return at == 10; }
  };
  iterator begin() const { return {}; }
  std::default_sentinel_t end() const { return {}; }
};

TEST(ForEachConcurrent, ARangeThatThrowsIsJoinedFirst) {
  LogCapture log;
  run([]() -> Task<> {
    int ended = 0;
    auto work = [&](int) -> Task<> {
      co_await as_result(sleep_for(1h));
      ++ended;
    };
    const auto result = co_await as_result(for_each_concurrent(8, ThrowingRange{}, work));
    EXPECT_THAT(result.error().what(), ::testing::HasSubstr("iterator"));
    EXPECT_EQ(ended, 2);
  });
  EXPECT_EQ(log.text(), "");
}

TEST(ForEachConcurrent, AMovedClosureLivesUntilTheEnd) {
  run([]() -> Task<> {
    auto resource = std::make_shared<int>(0);
    auto work = [resource](int value) -> Task<> {
      co_await yield();
      *resource += value;
    };
    co_await for_each_concurrent(2, std::views::iota(1, 4), moved(std::move(work)));
    EXPECT_EQ(*resource, 6);
    EXPECT_EQ(resource.use_count(), 1);
  });
}

}  // namespace
}  // namespace spdkio
