#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/join_handle.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "runtime/test_support.hpp"

namespace spdkio {
namespace {

using namespace runtime_test;
using ::testing::HasSubstr;

Task<int> number(int value) {
  co_await yield();
  co_return value;
}
Task<> fails(const char* text) {
  co_await yield();
  throw std::runtime_error(text);
}
Task<> sleeps_long() { co_await sleep_for(1h); }
Task<bool> until_stopped() { co_return is_cancelled((co_await as_result(sleep_for(1h))).error()); }

TEST(JoinHandle, GivesValuesOfEveryKind) {
  OsThread other;
  int target = 0;
  auto unique = []() -> Task<std::unique_ptr<int>> { co_return std::make_unique<int>(2); };
  auto reference = [](int& t) -> Task<int&> { co_return t; };
  auto nothing = []() -> Task<> { co_return; };
  EXPECT_EQ(other.handle().spawn(number(1)).wait(), 1);
  EXPECT_EQ(*other.handle().spawn(unique()).wait(), 2);
  EXPECT_EQ(&other.handle().spawn(reference(target)).wait(), &target);
  other.handle().spawn(nothing()).wait();
  EXPECT_THROW(other.handle().spawn(fails("x")).wait(), std::runtime_error);
}

TEST(JoinHandle, IsAwaitedFromAnyThread) {
  OsThread a("a");
  OsThread b("b");
  run([&]() -> Task<> {
    auto joins = [](ThreadHandle where) -> Task<std::string> {
      const int value = co_await where.spawn(number(3));
      co_return CurrentThread::name() + std::to_string(value);
    };
    EXPECT_EQ(co_await a.handle().spawn(joins(b.handle())), "a3");
    EXPECT_EQ(co_await CurrentThread::spawn(number(4)), 4);
    const auto result = co_await as_result(a.handle().spawn(fails("far away")));
    EXPECT_THAT(result.error().what(), HasSubstr("far away"));
  });
}

TEST(JoinHandle, IsJoinedOnce) {
  OsThread other;
  auto handle = other.handle().spawn(number(1));
  EXPECT_EQ(handle.wait(), 1);
  EXPECT_EQ(error_of([&] { handle.wait(); }), make_error_code(Misuse::already_closed));
  EXPECT_FALSE(handle.done());
  handle.request_stop();
  handle.detach();
}

TEST(JoinHandle, WaitRefusesWhereItWouldNeverEndAndKeepsTheHandle) {
  auto thread = Thread::attach("t");
  auto handle = thread.spawn(number(6));
  try {
    handle.wait();
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), make_error_code(Misuse::would_block));
    EXPECT_THAT(error.what(), HasSubstr("has to run the task"));
  }
  std::error_code inside;
  EXPECT_TRUE(thread.handle().send([&] { inside = error_of([&] { handle.wait(); }); }));
  thread.run_until([&] { return handle.done() && inside; });
  EXPECT_EQ(inside, make_error_code(Misuse::would_block));
  EXPECT_EQ(handle.wait(), 6);
}

TEST(JoinHandle, WaitsForAnotherThreadOnAnAttachedOsThread) {
  auto mine = Thread::attach("mine");
  OsThread other;
  EXPECT_EQ(other.handle().spawn(number(6)).wait(), 6);
}

TEST(JoinHandle, StopIsRequestedFromAnyOsThread) {
  OsThread other;
  auto handle = other.handle().spawn(until_stopped());
  std::thread([&] { handle.request_stop(); }).join();
  EXPECT_TRUE(handle.wait());
  auto at_once = other.handle().spawn(until_stopped());
  at_once.request_stop();  // maybe before it started
  EXPECT_TRUE(at_once.wait());
  auto late = other.handle().spawn(number(2));
  while (!late.done()) std::this_thread::yield();
  late.request_stop();
  EXPECT_EQ(late.wait(), 2);
}

TEST(JoinHandle, StopAfterTheThreadEndedDoesNothing) {
  OsThread other;
  auto handle = other.handle().spawn(number(2));
  while (!handle.done()) std::this_thread::yield();
  other.stop();
  handle.request_stop();
  EXPECT_EQ(handle.wait(), 2);
}

TEST(JoinHandle, DroppedLetsTheTaskRunOn) {
  OsThread other;
  std::atomic<bool> ran{false};
  auto task = [](std::atomic<bool>& flag) -> Task<> {
    co_await sleep_for(1ms);
    flag = true;
  };
  {
    auto dropped = other.handle().spawn(task(ran));
  }
  while (!ran) std::this_thread::yield();
}

TEST(JoinHandle, AFailureThatNobodySeesIsLogged) {
  LogCapture log;
  OsThread other;
  other.handle().spawn(fails("unseen before")).detach();
  auto handle = other.handle().spawn(fails("unseen after"));
  while (!handle.done()) std::this_thread::yield();
  handle.detach();
  auto seen = other.handle().spawn(fails("seen"));
  EXPECT_THROW(seen.wait(), std::runtime_error);
  other.stop();
  EXPECT_THAT(log.text(), HasSubstr("a task that nobody joins failed: unseen before"));
  EXPECT_THAT(log.text(), HasSubstr("a task that nobody joins failed: unseen after"));
  EXPECT_THAT(log.text(), ::testing::Not(HasSubstr("failed: seen")));
}

TEST(JoinHandle, AnUnjoinedTaskThatWasStoppedIsNoFailure) {
  LogCapture log;
  OsThread other;
  other.handle().spawn(sleeps_long()).detach();
  other.stop();
  EXPECT_EQ(log.text(), "");
}

TEST(JoinHandle, AssigningDropsTheOld) {
  LogCapture log;
  OsThread other;
  auto handle = other.handle().spawn(number(1));
  handle = other.handle().spawn(number(2));
  EXPECT_EQ(handle.wait(), 2);
}

TEST(JoinHandle, WhatTheTaskOwnedIsGoneWhenTheJoinerHears) {
  OsThread other;
  for (int i = 0; i < 100; ++i) {
    auto resource = std::make_shared<int>();
    other.handle().spawn([](std::shared_ptr<int>) -> Task<> { co_await yield(); }(resource)).wait();
    EXPECT_EQ(resource.use_count(), 1);
  }
}

struct ThrowsWhenMoved {
  ThrowsWhenMoved() = default;
  ThrowsWhenMoved(ThrowsWhenMoved&& other) : left(other.left - 1) {
    if (left < 0) throw std::runtime_error("cannot be moved");
  }
  int left = 1;
};

TEST(JoinHandle, AResultThatCannotBeMovedIsAFailureNotACrash) {
  OsThread other;
  auto task = []() -> Task<ThrowsWhenMoved> { co_return ThrowsWhenMoved{}; };
  auto handle = other.handle().spawn(task());
  EXPECT_THROW(handle.wait(), std::runtime_error);
}

TEST(JoinHandle, AStopOfTheJoinerDoesNotEndItsWait) {
  OsThread other;
  run([&]() -> Task<> {
    auto sleeps = []() -> Task<int> {
      co_await sleep_for(3ms);
      co_return 5;
    };
    auto joins = [](JoinHandle<int> handle) -> Task<int> { co_return co_await std::move(handle); };
    auto joiner = CurrentThread::spawn(joins(other.handle().spawn(sleeps())));
    co_await yield();
    joiner.request_stop();
    EXPECT_EQ(co_await std::move(joiner), 5);
  });
}

}  // namespace
}  // namespace spdkio
