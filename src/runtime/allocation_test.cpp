// A warm runtime takes no memory from the heap: counted with a replaced global operator new.
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/channel.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/frame_cache.hpp>
#include <spdkio/runtime/mutex.hpp>
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/semaphore.hpp>
#include <spdkio/runtime/when_all.hpp>
#include <spdkio/runtime/when_any.hpp>
#include <spdkio/runtime/with_timeout.hpp>

#include <cstddef>

#include "runtime/counted_new.hpp"
#include "runtime/test_support.hpp"

namespace spdkio {
namespace {

using namespace runtime_test;

class NoAllocation : public ::testing::Test {
 protected:
  /// Runs the body until warm, then counts.
  template <class F>
  static void expect_none(F body) {
    std::size_t counted = 1;
    std::size_t control = 0;
    run([&]() -> Task<> {
      for (int i = 0; i < 100; ++i) co_await body();
      const std::size_t before = allocations;
      for (int i = 0; i < 100; ++i) co_await body();
      counted = allocations - before;
      ::operator delete(::operator new(1));
      control = allocations - before - counted;
    });
    EXPECT_EQ(control, 1u) << "the counter does not count";
    EXPECT_EQ(counted, 0u);
  }
};

Task<int> leaf() {
  co_await yield();
  co_return 1;
}
Task<int> nested() { co_return co_await leaf() + co_await leaf(); }

TEST_F(NoAllocation, NestedTasks) {
  auto body = []() -> Task<> { EXPECT_EQ(co_await nested(), 2); };
  expect_none(body);
}

TEST_F(NoAllocation, DeepRecursion) {
  struct Recursion {
    static Task<int> go(int levels) {
      // Not as `?:`: g++ 12 evaluates both arms when one of them awaits in a co_return.
      if (levels == 0) co_return 0;
      co_return 1 + co_await go(levels - 1);
    }
  };
  auto body = []() -> Task<> { EXPECT_EQ(co_await Recursion::go(300), 300); };
  expect_none(body);
}

TEST_F(NoAllocation, SleepAndYield) {
  auto body = []() -> Task<> {
    co_await sleep_for(1us);
    co_await sleep_for(0ns);
    co_await yield();
  };
  expect_none(body);
}

TEST_F(NoAllocation, SemaphoreAndMutex) {
  Semaphore semaphore(1);
  Mutex mutex;
  auto contend = [&]() -> Task<> {
    auto permit = co_await semaphore.acquire();
    auto guard = co_await mutex.lock();
    co_await yield();
  };
  auto body = [&]() -> Task<> { co_await when_all(contend(), contend(), contend()); };
  expect_none(body);
}

TEST_F(NoAllocation, WhenAllOfTwoOperations) {
  auto body = []() -> Task<> { co_await when_all(sleep_for(1us), yield()); };
  expect_none(body);
}

TEST_F(NoAllocation, WhenAllOfTasks) {
  auto body = []() -> Task<> {
    auto [a, b] = co_await when_all(leaf(), nested());
    EXPECT_EQ(a + b, 3);
  };
  expect_none(body);
}

TEST_F(NoAllocation, WhenAnyAndTimeoutsInTime) {
  auto body = []() -> Task<> {
    EXPECT_EQ((co_await when_any(leaf(), nested())).index(), 0u);
    EXPECT_EQ(co_await with_timeout(1h, leaf()), 1);
    EXPECT_TRUE((co_await as_result(leaf())).has_value());
  };
  expect_none(body);
}

TEST_F(NoAllocation, EventsAndChannels) {
  Channel<int> channel(4);
  Event event;
  auto sends = [&]() -> Task<> {
    for (int i = 0; i < 10; ++i) co_await channel.send(i);
    event.set();
  };
  auto receives = [&]() -> Task<> {
    for (int i = 0; i < 10; ++i) EXPECT_EQ(co_await channel.receive(), i);
    co_await event.wait();
    event.reset();
  };
  auto body = [&]() -> Task<> { co_await when_all(sends(), receives()); };
  expect_none(body);
}

TEST_F(NoAllocation, TasksOfAWarmScope) {
  std::size_t counted = 1;
  run([&]() -> Task<> {
    Scope scope;
    auto round = [&]() -> Task<> {
      for (int i = 0; i < 4; ++i) scope.spawn(leaf());
      co_await scope.join();
    };
    for (int i = 0; i < 100; ++i) co_await round();
    const std::size_t before = allocations;
    for (int i = 0; i < 100; ++i) co_await round();
    counted = allocations - before;
  });
  EXPECT_EQ(counted, 0u);
}

TEST_F(NoAllocation, CallsOfAnotherThread) {
  OsThread other;
  auto body = [&]() -> Task<> {
    const auto fn = [] { return 1; };
    EXPECT_EQ(co_await other.handle().call(fn), 1);
  };
  expect_none(body);
}

}  // namespace
}  // namespace spdkio
