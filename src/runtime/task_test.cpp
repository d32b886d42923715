#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/task.hpp>

#include <coroutine>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "runtime/test_support.hpp"

namespace spdkio {
namespace {

using namespace runtime_test;
using ::testing::HasSubstr;

constexpr int deep = sanitized ? 100'000 : 1'000'000;

Task<int> number(int value) { co_return value; }
Task<int> later(int value) {
  co_await yield();
  co_return value;
}
Task<int> fails() {
  co_await yield();
  throw std::runtime_error("broken");
}

TEST(Task, GivesItsValue) {
  EXPECT_EQ(block_on(number(7)), 7);
  EXPECT_EQ(block_on(later(8)), 8);
}

TEST(Task, GivesMoveOnlyValuesReferencesAndBracedValues) {
  struct NoDefault {
    explicit NoDefault(int v) : value(v) {}
    int value;
  };
  int target = 1;
  auto unique = []() -> Task<std::unique_ptr<int>> { co_return std::make_unique<int>(5); };
  auto reference = [&]() -> Task<int&> {
    co_await yield();
    co_return target;
  };
  auto braced = []() -> Task<std::pair<int, std::string>> { co_return {1, "one"}; };
  auto no_default = []() -> Task<NoDefault> { co_return NoDefault(3); };
  run([&]() -> Task<> {
    EXPECT_EQ(*co_await unique(), 5);
    int& result = co_await reference();
    result = 2;
    const auto pair = co_await braced();
    EXPECT_EQ(pair.second, "one");
    EXPECT_EQ((co_await no_default()).value, 3);
  });
  EXPECT_EQ(target, 2);
}

TEST(Task, ThrowsWhatItThrewAtTheAwait) {
  run([]() -> Task<> {
    bool caught = false;
    try {
      co_await fails();
    } catch (const std::runtime_error& error) {
      caught = std::string_view(error.what()) == "broken";
    }
    EXPECT_TRUE(caught);
  });
  EXPECT_THROW(block_on(fails()), std::runtime_error);
}

TEST(Task, ExceptionPtrAndErrorAreValuesLikeOthers) {
  auto task = []() -> Task<std::exception_ptr> { co_return std::make_exception_ptr(1); };
  EXPECT_TRUE(block_on(task()) != nullptr);
}

TEST(Task, DoesNothingUntilItIsAwaited) {
  bool ran = false;
  auto task = [](bool& flag) -> Task<> {
    flag = true;
    co_return;
  }(ran);
  EXPECT_FALSE(ran);
  block_on(std::move(task));
  EXPECT_TRUE(ran);
}

TEST(Task, FreesItsParametersWhenNeverStarted) {
  auto resource = std::make_shared<int>(1);
  {
    auto task = [](std::shared_ptr<int>) -> Task<> { co_return; }(resource);
    EXPECT_EQ(resource.use_count(), 2);
  }
  EXPECT_EQ(resource.use_count(), 1);
}

TEST(Task, AwaitedTwiceOrMovedFromIsMisuse) {
  run([]() -> Task<> {
    auto task = number(1);
    EXPECT_EQ(co_await std::move(task), 1);
    const auto again = co_await as_result(std::move(task));  // NOLINT(bugprone-use-after-move)
    EXPECT_EQ(again.error().code(), make_error_code(Misuse::already_closed));

    auto first = number(2);
    auto second = std::move(first);
    const auto empty = co_await as_result(std::move(first));  // NOLINT(bugprone-use-after-move)
    EXPECT_EQ(empty.error().code(), make_error_code(Misuse::already_closed));
    EXPECT_EQ(co_await std::move(second), 2);
  });
}

TEST(Task, AMovedFromTaskThatIsSpawnedSaysSo) {
  auto task = number(1);
  auto taken = std::move(task);
  EXPECT_EQ(error_of([&] { block_on(std::move(task)); }), make_error_code(Misuse::already_closed));  // NOLINT
  EXPECT_EQ(block_on(std::move(taken)), 1);
}

TEST(Task, AMillionInARowNeedNoStack) {
  const auto sum = run([]() -> Task<std::int64_t> {
    std::int64_t total = 0;
    for (int i = 0; i < 1'000'000; ++i) total += co_await number(1);
    co_return total;
  });
  EXPECT_EQ(sum, 1'000'000);
}

TEST(Task, ManyThatSuspendInARowNeedNoStack) {
  const auto sum = run([]() -> Task<std::int64_t> {
    std::int64_t total = 0;
    for (int i = 0; i < deep; ++i) total += co_await later(1);
    co_return total;
  });
  EXPECT_EQ(sum, deep);
}

Task<std::int64_t> descend(int levels, bool suspend_at_the_bottom) {
  if (levels == 0) {
    if (suspend_at_the_bottom) co_await yield();
    co_return 0;
  }
  co_return 1 + co_await descend(levels - 1, suspend_at_the_bottom);
}

TEST(Task, DeepRecursionNeedsNoStack) { EXPECT_EQ(block_on(descend(deep, false)), deep); }

TEST(Task, DeepRecursionThatSuspendsNeedsNoStack) { EXPECT_EQ(block_on(descend(deep, true)), deep); }

Task<> descend_and_fail(int levels) {
  if (levels == 0) throw Error(std::errc::io_error, "at the bottom");
  co_await descend_and_fail(levels - 1);
}

TEST(Task, ExceptionsTravelUpFromTheDeep) {
  EXPECT_EQ(error_of([] { block_on(descend_and_fail(2'000)); }), std::make_error_code(std::errc::io_error));
}

TEST(Task, DestroyedWhileItRunsIsLoggedAndNotFreed) {
  LogCapture log;
  run([]() -> Task<> {
    Event go;
    std::optional<Task<>> slot;
    {
      const LeaksOnPurpose leaks;
      slot.emplace([](Event& event) -> Task<> { co_await event.wait(); }(go));
    }
    Scope scope;
    scope.spawn([](std::optional<Task<>>& task) -> Task<> { co_await std::move(*task); }(slot));
    slot.reset();
    go.set();
    co_await scope.join();
  });
  EXPECT_THAT(log.text(), HasSubstr("a Task was destroyed while it runs"));
}

// A coroutine of another library: knows nothing of this one's promises.
struct Foreign {
  struct promise_type {
    Foreign get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

TEST(Task, CanBeAwaitedByACoroutineOfAnotherLibrary) {
  int without_suspending = 0;
  int with_suspending = 0;
  auto thread = Thread::attach("foreign");
  [](int& ready, int& suspended) -> Foreign {
    ready = co_await number(3);
    suspended = co_await later(4);
  }(without_suspending, with_suspending);
  EXPECT_EQ(without_suspending, 3);
  EXPECT_EQ(with_suspending, 0);
  thread.run_until([&] { return with_suspending != 0; });
  EXPECT_EQ(with_suspending, 4);
}

TEST(Task, RunsWithoutAThreadAsLongAsNothingNeedsOne) {
  int value = 0;
  std::error_code code;
  [](int& result, std::error_code& error) -> Foreign {
    result = co_await number(9);
    error = (co_await as_result(later(1))).error().code();
  }(value, code);
  EXPECT_EQ(value, 9);
  EXPECT_EQ(code, make_error_code(Misuse::wrong_thread));
}

// Counts what is alive, to find objects that are destroyed twice or never.
struct Counted {
  explicit Counted(int& count) : alive(&count) { ++*alive; }
  Counted(const Counted& other) : alive(other.alive) { ++*alive; }
  Counted(Counted&& other) noexcept : alive(other.alive) { ++*alive; }
  ~Counted() { --*alive; }
  int* alive;
};

TEST(Task, ParametersAndResultsAreDestroyedOnce) {
  int alive = 0;
  run([&]() -> Task<> {
    auto pass = [](Counted in) -> Task<Counted> {
      co_await yield();
      co_return in;
    };
    const auto result = co_await pass(Counted(alive));
    EXPECT_EQ(alive, 1);
    auto fail = [](Counted) -> Task<> {
      co_await yield();
      throw std::runtime_error("x");
    };
    try {
      co_await fail(Counted(alive));
    } catch (const std::runtime_error&) {
    }
    EXPECT_EQ(alive, 1);
  });
  EXPECT_EQ(alive, 0);
}

}  // namespace
}  // namespace spdkio
