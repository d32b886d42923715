#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/completion.hpp>
#include <spdkio/runtime/thread.hpp>
#include <spdkio/runtime/with_timeout.hpp>

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "runtime/test_support.hpp"

namespace spdkio {
namespace {

using namespace runtime_test;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Task<> sleep_a_little() { co_await sleep_for(1us); }

TEST(ThreadHandle, EmptyIsMisuseEverywhere) {
  const ThreadHandle empty;
  const auto invalid = make_error_code(Misuse::invalid_argument);
  EXPECT_FALSE(empty);
  EXPECT_FALSE(empty.is_current());
  EXPECT_EQ(error_of([&] { empty.name(); }), invalid);
  EXPECT_EQ(error_of([&] { empty.id(); }), invalid);
  EXPECT_EQ(error_of([&] { empty.state(); }), invalid);
  EXPECT_EQ(empty.send([] {}).error().code(), invalid);
  EXPECT_EQ(error_of([&] { auto task = empty.call([] {}); }), invalid);
  EXPECT_EQ(error_of([&] { empty.spawn(sleep_a_little()).detach(); }), invalid);
  EXPECT_EQ(error_of([&] { run([&]() -> Task<> { co_await resume_on(empty); }); }), invalid);
}

TEST(ThreadHandle, FindsThreadsByNameAndId) {
  OsThread other("findable");
  const auto by_name = ThreadHandle::find("findable");
  ASSERT_TRUE(by_name.has_value());
  EXPECT_EQ(*by_name, other.handle());
  EXPECT_EQ(ThreadHandle::find(by_name->id()), other.handle());
  const auto all = ThreadHandle::all();
  EXPECT_NE(std::ranges::find(all, other.handle()), all.end());
  other.stop();
  EXPECT_FALSE(ThreadHandle::find("findable").has_value());
  EXPECT_FALSE(ThreadHandle::find(by_name->id()).has_value());
  EXPECT_EQ(by_name->name(), "findable");
  EXPECT_EQ(by_name->state(), ThreadState::exited);
}

TEST(ThreadHandle, MessagesRunThereInOrder) {
  std::vector<int> order;
  {
    OsThread other;
    for (int i = 0; i < 5; ++i) {
      EXPECT_TRUE(other.handle().send([&, only_movable = std::make_unique<int>(i)] {
        EXPECT_EQ(CurrentThread::name(), "other");
        order.push_back(*only_movable);
      }));
    }
  }
  EXPECT_THAT(order, ElementsAre(0, 1, 2, 3, 4));
}

TEST(ThreadHandle, AnEndedThreadIsAnErrorThatNamesIt) {
  OsThread other("gone");
  const auto handle = other.handle();
  other.stop();
  const auto sent = handle.send([] { ADD_FAILURE(); });
  ASSERT_FALSE(sent.has_value());
  EXPECT_EQ(sent.error().code(), std::errc::no_such_process);
  EXPECT_THAT(sent.error().what(), HasSubstr("'gone' has ended"));
  EXPECT_EQ(error_of([&] { handle.spawn(sleep_a_little()).detach(); }),
            std::make_error_code(std::errc::no_such_process));
  run([&]() -> Task<> {
    auto never = [] { ADD_FAILURE(); };
    const auto called = co_await as_result(handle.call(never));
    EXPECT_EQ(called.error().code(), std::errc::no_such_process);
    EXPECT_THAT(called.error().what(), HasSubstr("'gone'"));
    // Also again and again: a refusal needs no stack.
    for (int i = 0; i < 10'000; ++i) {
      const auto again = co_await as_result(handle.call(never));
      EXPECT_FALSE(again.has_value());
    }
  });
}

TEST(ThreadHandle, AThreadEndsWhileOthersGoOnSending) {
  std::vector<std::thread> senders;
  {
    OsThread target("target");
    for (int i = 0; i < 3; ++i) {
      senders.emplace_back([handle = target.handle()] {
        while (handle.send([] {})) {
        }
      });
    }
  }  // ends it, and with it the senders
  for (auto& sender : senders) sender.join();
}

TEST(ThreadHandle, CallGivesResultsBack) {
  OsThread other;
  run([&]() -> Task<> {
    const auto& target = other.handle();
    EXPECT_EQ(co_await target.call([] { return CurrentThread::name(); }), "other");
    EXPECT_EQ(CurrentThread::name(), "block_on");
    EXPECT_EQ(*co_await target.call([] { return std::make_unique<int>(3); }), 3);
    co_await target.call([] {});
    int value = 0;
    int& referred = co_await target.call([&]() -> int& { return value; });
    EXPECT_EQ(&referred, &value);
    const auto task = [](int v) -> Task<int> {
      co_await sleep_for(1us);
      co_return v;
    };
    EXPECT_EQ(co_await target.call([&] { return task(8); }), 8);
    // On its own Thread it is a plain call.
    EXPECT_EQ(co_await CurrentThread::handle().call([] { return 4; }), 4);
  });
}

TEST(ThreadHandle, CallThrowsWhatIsThrownThere) {
  OsThread other;
  run([&]() -> Task<> {
    const auto result =
        co_await as_result(other.handle().call([]() -> int { throw std::runtime_error("over there"); }));
    EXPECT_THAT(result.error().what(), HasSubstr("over there"));
    const auto fails = []() -> Task<> {
      co_await yield();
      throw Error(std::errc::io_error);
    };
    EXPECT_EQ((co_await as_result(other.handle().call(fails))).error().code(), std::errc::io_error);
    EXPECT_EQ(CurrentThread::name(), "block_on");
  });
}

TEST(ThreadHandle, CallTakesClosuresThatOwnThings) {
  OsThread other;
  auto resource = std::make_shared<int>(5);
  run([&]() -> Task<> {
    auto named = [resource] { return *resource; };
    EXPECT_EQ(co_await other.handle().call(named), 5);
    EXPECT_EQ(co_await other.handle().call(moved(std::move(named))), 5);
  });
  EXPECT_EQ(resource.use_count(), 1);
}

TEST(ThreadHandle, AStopReachesWhatWasCalled) {
  OsThread other;
  run([&]() -> Task<> {
    auto sleeps = []() -> Task<bool> { co_return is_cancelled((co_await as_result(sleep_for(1h))).error()); };
    EXPECT_TRUE(co_await with_timeout(2ms, other.handle().call(sleeps)));
    EXPECT_TRUE(co_await with_timeout(0ms, other.handle().call(sleeps)));
  });
}

TEST(ThreadHandle, SpawnRunsThere) {
  OsThread other;
  auto name = []() -> Task<std::string> {
    co_await yield();
    co_return CurrentThread::name();
  };
  EXPECT_EQ(other.handle().spawn(name()).wait(), "other");
  run([&]() -> Task<> {
    EXPECT_EQ(co_await other.handle().spawn(name()), "other");
    EXPECT_EQ(CurrentThread::name(), "block_on");
  });
}

}  // namespace
}  // namespace spdkio
