#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/semaphore.hpp>
#include <spdkio/runtime/stop_token.hpp>
#include <spdkio/runtime/with_timeout.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "runtime/test_support.hpp"

namespace spdkio {
namespace {

using namespace runtime_test;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

Task<> add(std::vector<int>& to, int value, int turns = 0) {
  for (int i = 0; i < turns; ++i) co_await yield();
  to.push_back(value);
}
Task<> fail_after(int turns, const char* text) {
  for (int i = 0; i < turns; ++i) co_await yield();
  throw std::runtime_error(text);
}
Task<> until_stopped(bool& stopped) {
  try {
    co_await sleep_for(1h);
  } catch (const Error& error) {
    stopped = is_cancelled(error);
    throw;
  }
}

TEST(Scope, StartsAtOnceAndJoinsAll) {
  run([]() -> Task<> {
    std::vector<int> done;
    Scope scope;
    scope.spawn(add(done, 1, 3));
    scope.spawn(add(done, 2, 1));
    scope.spawn(add(done, 3));
    EXPECT_THAT(done, ElementsAre(3));
    EXPECT_EQ(scope.size(), 2u);
    co_await scope.join();
    EXPECT_THAT(done, ElementsAre(3, 2, 1));
    EXPECT_EQ(scope.size(), 0u);
  });
}

TEST(Scope, TakesOperationsToo) {
  run([]() -> Task<> {
    Event event;
    Scope scope;
    scope.spawn(event.wait());
    scope.spawn(sleep_for(1ns));
    EXPECT_EQ(scope.size(), 2u);
    event.set();
    co_await scope.join();
  });
}

TEST(Scope, JoinOfAnEmptyScopeAndUseAfterAJoin) {
  run([]() -> Task<> {
    std::vector<int> done;
    Scope scope;
    co_await scope.join();
    scope.spawn(add(done, 1, 1));
    co_await scope.join();
    scope.spawn(add(done, 2, 1));
    co_await scope.join();
    EXPECT_THAT(done, ElementsAre(1, 2));
  });
}

TEST(Scope, FirstFailureStopsTheOthersAndIsThrown) {
  run([]() -> Task<> {
    bool stopped = false;
    Scope scope;
    scope.spawn(until_stopped(stopped));
    scope.spawn(fail_after(1, "first"));
    scope.spawn(fail_after(2, "second"));
    std::string what;
    try {
      co_await scope.join();
    } catch (const std::runtime_error& error) {
      what = error.what();
    }
    EXPECT_EQ(what, "first");
    EXPECT_TRUE(stopped);
    EXPECT_TRUE(scope.stop_requested());
  });
}

TEST(Scope, AFailureBeforeTheFirstWaitIsThrownByJoin) {
  run([]() -> Task<> {
    Scope scope;
    scope.spawn(fail_after(0, "at once"));
    EXPECT_EQ(scope.size(), 0u);
    EXPECT_FALSE((co_await as_result(scope.join())).has_value());
  });
}

TEST(Scope, NothingStartsAfterAStopRequest) {
  run([]() -> Task<> {
    auto resource = std::make_shared<int>();
    Scope scope;
    scope.request_stop();
    auto task = [](std::shared_ptr<int>) -> Task<> { co_return; }(resource);
    std::optional<Error> refused;
    try {
      scope.spawn(std::move(task));
    } catch (const Error& error) {
      refused = error;
    }
    EXPECT_TRUE(refused && is_cancelled(*refused));
    EXPECT_EQ(refused->outcome(), Outcome::never_submitted);
    EXPECT_EQ(resource.use_count(), 1);  // the refused task was freed
    co_await scope.join();
  });
}

TEST(Scope, AStopAboveReachesTheTasksWhileItIsJoined) {
  run([]() -> Task<> {
    bool stopped = false;
    auto body = [](bool& flag) -> Task<> {
      Scope scope;
      scope.spawn(until_stopped(flag));
      co_await scope.join();
    };
    const auto result = co_await as_result(with_timeout(1ms, body(stopped)));
    EXPECT_EQ(result.error().code(), std::errc::timed_out);
    EXPECT_TRUE(stopped);
  });
}

TEST(Scope, JoinUnderAStopThatWasRequestedBefore) {
  run([]() -> Task<> {
    bool stopped = false;
    auto body = [](bool& flag) -> Task<> {
      EXPECT_TRUE((co_await stop_token()).stop_requested());
      Scope scope;
      scope.spawn(until_stopped(flag));
      co_await scope.join();
    };
    const auto result = co_await as_result(with_timeout(0ms, body(stopped)));
    EXPECT_EQ(result.error().code(), std::errc::timed_out);
    EXPECT_TRUE(stopped);
  });
}

TEST(Scope, ASecondJoinerIsRefused) {
  run([]() -> Task<> {
    Event go;
    Scope scope;
    scope.spawn(go.wait());
    Scope joiners;
    joiners.spawn(scope.join());
    const auto second = co_await as_result([](Scope& s) -> Task<> { co_await s.join(); }(scope));
    EXPECT_EQ(second.error().code(), make_error_code(Misuse::invalid_argument));
    go.set();
    co_await joiners.join();
  });
}

TEST(Scope, ListsWhatRunsWithItsInnermostWait) {
  run([]() -> Task<> {
    Event go;
    Semaphore none(0);
    auto inner = [](Event& event) -> Task<> { co_await event.wait(); };
    auto outer = [&](Event& event) -> Task<> { co_await with_timeout(1h, inner(event)); };
    auto starve = [](Semaphore& semaphore) -> Task<> { auto permit = co_await semaphore.acquire(); };
    Scope scope("listing");
    scope.spawn(outer(go), "reader");
    scope.spawn(starve(none));
    scope.spawn(sleep_for(1h), "sleeper");
    const auto running = scope.running();
    EXPECT_EQ(running.size(), 3u);
    EXPECT_EQ(running[0].name, "sleeper");
    EXPECT_EQ(running[0].waiting_on, "sleep_for");
    EXPECT_EQ(running[1].name, "");
    EXPECT_EQ(running[1].waiting_on, "Semaphore");
    EXPECT_EQ(running[2].name, "reader");
    EXPECT_EQ(running[2].waiting_on, "Event");
    EXPECT_THAT(running[2].spawned_at, HasSubstr("scope_test.cpp:"));
    EXPECT_THAT(describe(running), HasSubstr("sleeper (" + running[0].spawned_at + ") waiting on sleep_for"));
    scope.request_stop();
    EXPECT_FALSE((co_await as_result(scope.join())).has_value());
  });
}

TEST(Scope, DestroyedWithoutAJoinNamesItsTasksAndStopsThem) {
  LogCapture log;
  bool stopped = false;
  run([&]() -> Task<> {
    {
      Scope scope("careless");
      scope.spawn(until_stopped(stopped), "forgotten");
    }
    co_await yield();
    co_await yield();
  });
  EXPECT_TRUE(stopped);
  EXPECT_THAT(log.text(), HasSubstr("scope 'careless' was destroyed without a join while 1 task(s) run"));
  EXPECT_THAT(log.text(), HasSubstr("forgotten ("));
}

TEST(Scope, DestroyedAfterAnUnseenFailureLogsIt) {
  LogCapture log;
  run([]() -> Task<> {
    Scope scope("careless");
    scope.spawn(fail_after(0, "nobody looked"));
    co_return;
  });
  EXPECT_THAT(log.text(), HasSubstr("nobody looked"));
}

TEST(Scope, BelongsToItsThread) {
  OsThread other;
  EXPECT_EQ(error_of([] { Scope scope; }), make_error_code(Misuse::wrong_thread));
  run([&]() -> Task<> {
    Scope scope("mine");
    auto misuse = [&] { EXPECT_EQ(error_of([&] { scope.spawn(yield()); }), make_error_code(Misuse::wrong_thread)); };
    co_await other.handle().call(misuse);
    co_await scope.join();
  });
}

TEST(Scope, TasksMaySpawnMore) {
  run([]() -> Task<> {
    std::vector<int> done;
    Scope scope;
    struct Spawner {
      static Task<> go(Scope& where, std::vector<int>& to, int left) {
        co_await yield();
        to.push_back(left);
        if (left > 0) where.spawn(go(where, to, left - 1));
      }
    };
    scope.spawn(Spawner::go(scope, done, 3));
    co_await scope.join();
    EXPECT_THAT(done, ElementsAre(3, 2, 1, 0));
  });
}

TEST(Scope, WhatATaskOwnsIsGoneWhenTheJoinerGoesOn) {
  run([]() -> Task<> {
    auto resource = std::make_shared<int>();
    Scope scope;
    scope.spawn([](std::shared_ptr<int>) -> Task<> { co_await yield(); }(resource));
    EXPECT_EQ(resource.use_count(), 2);
    co_await scope.join();
    EXPECT_EQ(resource.use_count(), 1);
  });
}

TEST(WithScope, JoinsWhateverHappens) {
  run([]() -> Task<> {
    std::vector<int> done;
    auto body = [&](Scope& scope) -> Task<> {
      scope.spawn(add(done, 1, 5));
      co_return;
    };
    co_await with_scope(body);
    EXPECT_THAT(done, ElementsAre(1));

    bool stopped = false;
    auto failing = [&](Scope& scope) -> Task<> {
      scope.spawn(until_stopped(stopped));
      co_await yield();
      throw std::runtime_error("body");
    };
    const auto result = co_await as_result(with_scope(failing));
    EXPECT_THAT(result.error().what(), HasSubstr("body"));
    EXPECT_TRUE(stopped);
  });
}

TEST(WithScope, AMovedClosureLivesUntilTheEnd) {
  run([]() -> Task<> {
    auto resource = std::make_shared<int>();
    auto body = [resource](Scope& scope) -> Task<> {
      scope.spawn(sleep_for(1ns));
      co_await yield();
      EXPECT_GE(resource.use_count(), 2);
    };
    co_await with_scope(moved(std::move(body)));
    EXPECT_EQ(resource.use_count(), 1);
  });
}

}  // namespace
}  // namespace spdkio
