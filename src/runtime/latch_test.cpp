#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/latch.hpp>
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/with_timeout.hpp>

#include "runtime/test_support.hpp"

namespace spdkio {
namespace {

using namespace runtime_test;

TEST(Latch, OpensAtZero) {
  run([]() -> Task<> {
    Latch latch(3);
    int passed = 0;
    auto waiter = [&]() -> Task<> {
      co_await latch.wait();
      ++passed;
    };
    Scope scope;
    scope.spawn(waiter());
    scope.spawn(waiter());
    latch.count_down();
    latch.count_down(0);
    co_await yield();
    EXPECT_EQ(passed, 0);
    EXPECT_EQ(latch.count(), 2u);
    latch.count_down(2);
    co_await scope.join();
    EXPECT_EQ(passed, 2);
    co_await latch.wait();
  });
}

TEST(Latch, OfZeroIsOpen) {
  run([]() -> Task<> {
    Latch latch(0);
    co_await latch.wait();
  });
}

TEST(Latch, BelowZeroIsMisuseAndChangesNothing) {
  Latch latch(1);
  EXPECT_EQ(error_of([&] { latch.count_down(2); }), make_error_code(Misuse::invalid_argument));
  EXPECT_EQ(latch.count(), 1u);
  latch.count_down();
  EXPECT_EQ(error_of([&] { latch.count_down(); }), make_error_code(Misuse::invalid_argument));
}

TEST(Latch, AStopEndsTheWait) {
  run([]() -> Task<> {
    Latch latch(1);
    EXPECT_EQ((co_await as_result(with_timeout(1ms, latch.wait()))).error().code(), std::errc::timed_out);
  });
}

TEST(Latch, OnAnotherThreadIsMisuseAndChangesNothing) {
  OsThread other;
  run([&]() -> Task<> {
    Latch latch(1);
    Scope scope;
    scope.spawn(latch.wait());
    auto misuse = [&] { EXPECT_EQ(error_of([&] { latch.count_down(); }), make_error_code(Misuse::wrong_thread)); };
    co_await other.handle().call(misuse);
    EXPECT_EQ(latch.count(), 1u);
    latch.count_down();
    co_await scope.join();
  });
}

}  // namespace
}  // namespace spdkio
