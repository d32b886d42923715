#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/mutex.hpp>
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/with_timeout.hpp>

#include <vector>

#include "runtime/test_support.hpp"

namespace spdkio {
namespace {

using namespace runtime_test;
using ::testing::ElementsAre;

TEST(Mutex, ExcludesAcrossSuspensionPointsInOrder) {
  run([]() -> Task<> {
    Mutex mutex;
    int inside = 0;
    std::vector<int> order;
    auto worker = [&](int id) -> Task<> {
      auto guard = co_await mutex.lock();
      EXPECT_EQ(++inside, 1);
      co_await yield();
      co_await yield();
      --inside;
      order.push_back(id);
    };
    Scope scope;
    for (int i = 0; i < 4; ++i) scope.spawn(worker(i));
    co_await scope.join();
    EXPECT_THAT(order, ElementsAre(0, 1, 2, 3));
    EXPECT_FALSE(mutex.locked());
  });
}

TEST(Mutex, TheNextOwnerDoesNotRunInsideTheUnlock) {
  run([]() -> Task<> {
    Mutex mutex;
    bool got = false;
    auto guard = co_await mutex.lock();
    Scope scope;
    auto waiter = [](Mutex& m, bool& flag) -> Task<> {
      auto own = co_await m.lock();
      flag = true;
    };
    scope.spawn(waiter(mutex, got));
    guard.release();
    EXPECT_FALSE(got);
    EXPECT_FALSE(mutex.try_lock());  // it is the waiter's already
    co_await scope.join();
    EXPECT_TRUE(got);
  });
}

TEST(Mutex, TryLockAndUnlock) {
  Mutex mutex;
  EXPECT_TRUE(mutex.try_lock());
  EXPECT_TRUE(mutex.locked());
  EXPECT_FALSE(mutex.try_lock());
  mutex.unlock();
  EXPECT_FALSE(mutex.locked());
  EXPECT_EQ(error_of([&] { mutex.unlock(); }), make_error_code(Misuse::invalid_argument));
  EXPECT_TRUE(mutex.try_lock());
  EXPECT_FALSE(mutex.try_lock());
  mutex.unlock();
}

TEST(Mutex, AStopEndsTheWait) {
  run([]() -> Task<> {
    Mutex mutex;
    auto guard = co_await mutex.lock();
    auto waits = [](Mutex& m) -> Task<> { auto own = co_await m.lock(); };
    EXPECT_EQ((co_await as_result(with_timeout(1ms, waits(mutex)))).error().code(), std::errc::timed_out);
    guard.release();
    EXPECT_FALSE(mutex.locked());
  });
}

}  // namespace
}  // namespace spdkio
