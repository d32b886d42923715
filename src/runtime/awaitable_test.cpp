#include <spdkio/runtime/awaitable.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/for_each_concurrent.hpp>
#include <spdkio/runtime/join_handle.hpp>
#include <spdkio/runtime/semaphore.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/runtime/when_all.hpp>

#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "runtime/test_support.hpp"

namespace spdkio {
namespace {

using namespace runtime_test;

static_assert(Awaitable<Task<int>>);
static_assert(!Awaitable<Task<int>&>);  // a named Task is awaited with std::move
static_assert(Awaitable<JoinHandle<int>>);
static_assert(!Awaitable<JoinHandle<int>&>);
static_assert(Awaitable<Event::WaitAwaiter>);
static_assert(!Awaitable<int>);
static_assert(std::is_same_v<AwaitResult<Task<int&>>, int&>);
static_assert(std::is_same_v<AwaitResult<Task<>>, void>);
static_assert(std::is_same_v<AwaitResult<Semaphore::AcquireAwaiter>, SemaphorePermit>);
static_assert(std::is_same_v<AwaitResult<decltype(when_all(std::declval<Task<int>>(), std::declval<Task<>>()))>,
                             std::tuple<int, std::monostate>>);
static_assert(!std::is_copy_constructible_v<Task<int>> && !std::is_copy_constructible_v<JoinHandle<int>>);

// Copies made of a waiting operation before it waits share nothing.
TEST(Awaiters, CopiedBeforeTheWaitAreIndependent) {
  run([]() -> Task<> {
    Event event;
    auto first = event.wait();
    auto second = first;
    auto both = CurrentThread::spawn([](Event& e) -> Task<> {
      co_await yield();
      e.set();
    }(event));
    co_await when_all(std::move(first), std::move(second));
    co_await std::move(both);
    auto nap = sleep_for(1us);
    auto copy = nap;
    co_await nap;
    co_await copy;
  });
}

struct Balance {
  Balance() { ++alive; }
  Balance(const Balance&) { ++alive; }
  Balance(Balance&&) noexcept { ++alive; }
  Balance& operator=(const Balance&) = default;
  ~Balance() { --alive; }
  inline static int alive = 0;
};

TEST(Moved, ClosuresAreDestroyedAsOftenAsTheyAreMade) {
  Balance::alive = 0;
  OsThread other;
  run([&]() -> Task<> {
    auto named = [balance = Balance{}] { return 1; };
    EXPECT_EQ(co_await other.handle().call(named), 1);
    EXPECT_EQ(co_await other.handle().call(moved(named)), 1);
    EXPECT_EQ(co_await other.handle().call(moved(std::move(named))), 1);
  });
  EXPECT_EQ(Balance::alive, 0);
}

// The shapes that the guide allows with g++ 12.
TEST(CoAwait, AllowedShapesDestroyTheirTemporariesOnce) {
  Balance::alive = 0;
  auto by_value = [](Balance, std::string text) -> Task<std::size_t> {
    co_await yield();
    co_return text.size();
  };
  run([&]() -> Task<> {
    EXPECT_EQ(co_await by_value(Balance{}, "twelve chars, and more than fit in place"), 40u);
    const Balance named;
    auto [a, b] = co_await when_all(by_value(named, std::string(100, 'x')), by_value(Balance{}, "y"));
    EXPECT_EQ(a + b, 101u);
  });
  EXPECT_EQ(Balance::alive, 0);
}

}  // namespace
}  // namespace spdkio
