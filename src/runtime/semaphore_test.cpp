#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/semaphore.hpp>
#include <spdkio/runtime/with_timeout.hpp>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/test_support.hpp"

namespace spdkio {
namespace {

using namespace runtime_test;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Task<> take_and_note(Semaphore& semaphore, std::size_t units, std::vector<int>& order, int value) {
  auto permit = co_await semaphore.acquire(units);
  order.push_back(value);
}

TEST(Semaphore, LimitsWhatRunsAtOnce) {
  run([]() -> Task<> {
    Semaphore semaphore(3);
    int now = 0;
    int peak = 0;
    auto worker = [&]() -> Task<> {
      auto permit = co_await semaphore.acquire();
      peak = std::max(peak, ++now);
      co_await yield();
      --now;
    };
    Scope scope;
    for (int i = 0; i < 10; ++i) scope.spawn(worker());
    co_await scope.join();
    EXPECT_EQ(peak, 3);
    EXPECT_EQ(semaphore.available(), 3u);
  });
}

TEST(Semaphore, ALargeRequestIsNotOvertaken) {
  run([]() -> Task<> {
    Semaphore semaphore(4);
    std::vector<int> order;
    auto held = co_await semaphore.acquire(3);
    Scope scope;
    scope.spawn(take_and_note(semaphore, 4, order, 1));
    scope.spawn(take_and_note(semaphore, 1, order, 2));  // one is free, but the large request came first
    EXPECT_FALSE(semaphore.try_acquire());
    co_await yield();
    EXPECT_TRUE(order.empty());
    held.release();
    co_await scope.join();
    EXPECT_THAT(order, ElementsAre(1, 2));
    EXPECT_EQ(semaphore.available(), 4u);
  });
}

TEST(Semaphore, WaitersGoOnInOrder) {
  run([]() -> Task<> {
    Semaphore semaphore(0);
    std::vector<int> order;
    Scope scope;
    for (int i = 0; i < 5; ++i) scope.spawn(take_and_note(semaphore, 1, order, i));
    semaphore.release();
    co_await scope.join();
    EXPECT_THAT(order, ElementsAre(0, 1, 2, 3, 4));
  });
}

TEST(Semaphore, AStoppedLargeRequestLetsTheSmallOnesBehindItGoOn) {
  run([]() -> Task<> {
    Semaphore semaphore(1);
    std::vector<int> order;
    Scope scope;
    auto large = [](Semaphore& s, std::vector<int>& to) -> Task<> {
      const auto result = co_await as_result(with_timeout(1ms, take_and_note(s, 2, to, 1)));
      EXPECT_EQ(result.error().code(), std::errc::timed_out);
      EXPECT_EQ(result.error().outcome(), Outcome::never_submitted);
    };
    scope.spawn(large(semaphore, order));
    scope.spawn(take_and_note(semaphore, 1, order, 2));
    co_await scope.join();
    EXPECT_THAT(order, ElementsAre(2));
    EXPECT_EQ(semaphore.available(), 1u);
  });
}

TEST(Semaphore, AStopAfterTheUnitsWereGivenKeepsThem) {
  run([]() -> Task<> {
    Semaphore semaphore(0);
    std::vector<int> order;
    Scope scope;
    scope.spawn(take_and_note(semaphore, 1, order, 1));
    semaphore.release();
    scope.request_stop();  // the waiter was served before, it only did not run yet
    co_await scope.join();
    EXPECT_THAT(order, ElementsAre(1));
    EXPECT_EQ(semaphore.available(), 1u);
  });
}

TEST(Semaphore, PermitsMoveAndGiveBackOnce) {
  run([]() -> Task<> {
    Semaphore semaphore(2);
    {
      auto first = co_await semaphore.acquire();
      auto second = std::move(first);
      EXPECT_EQ(semaphore.available(), 1u);
      second.release();
      second.release();
      EXPECT_EQ(semaphore.available(), 2u);
      SemaphorePermit third;
      third = co_await semaphore.acquire(2);
      EXPECT_EQ(semaphore.available(), 0u);
    }
    EXPECT_EQ(semaphore.available(), 2u);
    EXPECT_TRUE(semaphore.try_acquire(2));
    EXPECT_FALSE(semaphore.try_acquire());
    semaphore.release(2);
  });
}

TEST(Semaphore, AnEndlessUserDoesNotStarveOthers) {
  run([]() -> Task<> {
    Semaphore semaphore(1);
    bool stop = false;
    Scope scope;
    auto greedy = [](Semaphore& s, bool& flag) -> Task<> {
      while (!flag) auto permit = co_await s.acquire();
    };
    auto other = [](bool& flag) -> Task<> {
      co_await sleep_for(1ms);
      flag = true;
    };
    scope.spawn(other(stop));
    scope.spawn(greedy(semaphore, stop));
    co_await scope.join();
  });
}

TEST(Semaphore, OnAnotherThreadIsMisuse) {
  OsThread other;
  run([&]() -> Task<> {
    Semaphore semaphore(0);
    Scope scope;
    std::vector<int> order;
    scope.spawn(take_and_note(semaphore, 1, order, 1));
    auto misuse = [&]() -> Task<> {
      EXPECT_EQ(error_of([&] { semaphore.release(); }), make_error_code(Misuse::wrong_thread));
      EXPECT_EQ(error_of([&] { semaphore.try_acquire(); }), make_error_code(Misuse::wrong_thread));
      const auto result = co_await as_result(semaphore.acquire());
      EXPECT_EQ(result.error().code(), make_error_code(Misuse::wrong_thread));
      EXPECT_THAT(result.error().what(), HasSubstr("'other'"));
    };
    co_await other.handle().call(misuse);
    EXPECT_TRUE(order.empty());
    semaphore.release();
    co_await scope.join();
  });
}

TEST(Semaphore, APermitDestroyedOnAnotherThreadIsLogged) {
  LogCapture log;
  OsThread other;
  run([&]() -> Task<> {
    Semaphore semaphore(1);
    {
      // Makes the semaphore this Thread's.
      auto first = co_await semaphore.acquire();
      Scope scope;
      std::vector<int> order;
      scope.spawn(take_and_note(semaphore, 1, order, 1));
      first.release();
      co_await scope.join();
    }
    auto carries_it_away = [](Semaphore& s, ThreadHandle target) -> Task<> {
      auto permit = co_await s.acquire();
      co_await resume_on(target);
    };
    co_await carries_it_away(semaphore, other.handle());
    EXPECT_EQ(semaphore.available(), 0u);
    semaphore.release();
  });
  EXPECT_THAT(log.text(), HasSubstr("1 unit(s) of a Semaphore are lost"));
}

TEST(Semaphore, MayBeUsedByOneThreadAfterTheOther) {
  Semaphore semaphore(1);
  for (int i = 0; i < 3; ++i) {
    run([&]() -> Task<> {  // a new temporary Thread each time
      std::vector<int> order;
      auto first = co_await semaphore.acquire();
      Scope scope;
      scope.spawn(take_and_note(semaphore, 1, order, 1));
      first.release();
      co_await scope.join();
    });
  }
  EXPECT_EQ(semaphore.available(), 1u);
}

TEST(Semaphore, DestroyedUnderAWaiterIsLoggedAndItCanBeStopped) {
  LogCapture log;
  run([]() -> Task<> {
    std::optional<Semaphore> semaphore(0);
    std::vector<int> order;
    Scope scope;
    scope.spawn(take_and_note(*semaphore, 1, order, 1));
    semaphore.reset();
    scope.request_stop();
    EXPECT_FALSE((co_await as_result(scope.join())).has_value());
  });
  EXPECT_THAT(log.text(), HasSubstr("what a task waits for was destroyed: Semaphore"));
}

TEST(Semaphore, MayBeDestroyedOnceItsWaitersWereStopped) {
  LogCapture log;
  run([]() -> Task<> {
    std::optional<Semaphore> semaphore(0);
    std::vector<int> order;
    Scope scope;
    scope.spawn(take_and_note(*semaphore, 1, order, 1));
    scope.request_stop();
    EXPECT_FALSE((co_await as_result(scope.join())).has_value());
    semaphore.reset();
  });
  EXPECT_EQ(log.text(), "");
}

}  // namespace
}  // namespace spdkio
