#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/with_timeout.hpp>

#include <optional>
#include <utility>
#include <vector>

#include "runtime/test_support.hpp"

namespace spdkio {
namespace {

using namespace runtime_test;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Task<> wait_and_note(Event& event, std::vector<int>& order, int value) {
  co_await event.wait();
  order.push_back(value);
}

TEST(Event, LetsEveryWaiterGoOnInOrderAndStaysSet) {
  run([]() -> Task<> {
    Event event;
    std::vector<int> order;
    Scope scope;
    for (int i = 0; i < 3; ++i) scope.spawn(wait_and_note(event, order, i));
    EXPECT_FALSE(event.is_set());
    event.set();
    EXPECT_TRUE(order.empty());  // not inside `set`
    co_await scope.join();
    EXPECT_THAT(order, ElementsAre(0, 1, 2));
    co_await event.wait();
    EXPECT_TRUE(event.is_set());
  });
}

TEST(Event, AResetDoesNotTakeAWakeUpBack) {
  run([]() -> Task<> {
    Event event;
    std::vector<int> order;
    Scope scope;
    scope.spawn(wait_and_note(event, order, 1));
    event.set();
    event.reset();
    scope.spawn(wait_and_note(event, order, 2));
    co_await yield();
    co_await yield();
    EXPECT_THAT(order, ElementsAre(1));
    event.set();
    co_await scope.join();
  });
}

TEST(Event, AStopEndsTheWaitBeforeAndDuring) {
  run([]() -> Task<> {
    Event event;
    EXPECT_EQ((co_await as_result(with_timeout(1ms, event.wait()))).error().code(), std::errc::timed_out);
    EXPECT_EQ((co_await as_result(with_timeout(0ms, event.wait()))).error().code(), std::errc::timed_out);
    event.set();
    co_await with_timeout(0ms, event.wait());  // what is there already is given
  });
}

TEST(Event, AStopInTheSameRoundAsTheSetIsTooLate) {
  run([]() -> Task<> {
    Event event;
    std::vector<int> order;
    Scope scope;
    scope.spawn(wait_and_note(event, order, 1));
    event.set();
    scope.request_stop();
    co_await scope.join();
    EXPECT_THAT(order, ElementsAre(1));
  });
}

TEST(Event, WaitingInALoopForASetOneDoesNotStarveOthers) {
  run([]() -> Task<> {
    Event event;
    event.set();
    bool stop = false;
    auto other = CurrentThread::spawn([](bool& flag) -> Task<> {
      co_await sleep_for(1ms);
      flag = true;
    }(stop));
    while (!stop) co_await event.wait();
    co_await std::move(other);
  });
}

TEST(Event, OnAnotherThreadIsMisuse) {
  OsThread other;
  run([&]() -> Task<> {
    Event event;
    std::vector<int> order;
    Scope scope;
    scope.spawn(wait_and_note(event, order, 1));
    auto misuse = [&]() -> Task<> {
      EXPECT_EQ(error_of([&] { event.set(); }), make_error_code(Misuse::wrong_thread));
      EXPECT_EQ(error_of([&] { event.reset(); }), make_error_code(Misuse::wrong_thread));
      const auto result = co_await as_result(event.wait());
      EXPECT_EQ(result.error().code(), make_error_code(Misuse::wrong_thread));
      EXPECT_THAT(result.error().what(), HasSubstr("belongs to thread 'block_on', used on 'other'"));
    };
    co_await other.handle().call(misuse);
    EXPECT_FALSE(event.is_set());
    event.set();
    co_await scope.join();
  });
}

TEST(Event, FromAnOsThreadWithoutAThreadIsMisuse) {
  OsThread other;
  Event event;
  auto waiter = other.handle().spawn([](Event& e) -> Task<> { co_await e.wait(); }(event));
  run([&]() -> Task<> { co_await other.handle().call([] {}); });  // the waiter waits by now
  EXPECT_EQ(error_of([&] { event.set(); }), make_error_code(Misuse::wrong_thread));
  EXPECT_TRUE(other.handle().send([&] { event.set(); }));
  waiter.wait();
}

TEST(Event, DestroyedUnderWaitersIsLoggedAndTheyCanBeStopped) {
  LogCapture log;
  auto thread = Thread::attach("careless");
  std::optional<Event> event(std::in_place);
  auto first = thread.spawn([](Event& e) -> Task<> { co_await e.wait(); }(*event));
  auto second = thread.spawn([](Event& e) -> Task<> { co_await e.wait(); }(*event));
  while (thread.poll() != 0) {
  }
  event.reset();
  EXPECT_THAT(log.text(), HasSubstr("what a task waits for was destroyed: Event"));
  thread.close();  // a stop ends the waits
  EXPECT_EQ(error_of([&] { first.wait(); }), std::make_error_code(std::errc::operation_canceled));
  EXPECT_EQ(error_of([&] { second.wait(); }), std::make_error_code(std::errc::operation_canceled));
}

}  // namespace
}  // namespace spdkio
