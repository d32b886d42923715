#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/block_on.hpp>
#include <spdkio/runtime/lcore.hpp>
#include <spdkio/runtime/poller.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "runtime/test_support.hpp"

namespace spdkio {
namespace {

using namespace runtime_test;
using ::testing::HasSubstr;

Task<int> number(int value) {
  co_await sleep_for(1us);
  co_return value;
}

TEST(BlockOn, GivesTheResult) {
  EXPECT_EQ(block_on(number(4)), 4);
  auto unique = []() -> Task<std::unique_ptr<int>> { co_return std::make_unique<int>(5); };
  EXPECT_EQ(*block_on(unique()), 5);
  int target = 0;
  auto reference = [](int& t) -> Task<int&> { co_return t; };
  EXPECT_EQ(&block_on(reference(target)), &target);
  auto fails = []() -> Task<> {
    co_await yield();
    throw std::logic_error("x");
  };
  EXPECT_THROW(block_on(fails()), std::logic_error);
}

TEST(BlockOn, LeavesNoThreadBehind) {
  EXPECT_FALSE(CurrentThread::exists());
  ThreadId id{};
  run([&]() -> Task<> {
    id = CurrentThread::id();
    co_return;
  });
  EXPECT_FALSE(CurrentThread::exists());
  EXPECT_FALSE(ThreadHandle::find(id).has_value());
}

TEST(BlockOn, UsesTheAttachedThread) {
  auto thread = Thread::attach("mine");
  const auto name = run([]() -> Task<std::string> { co_return CurrentThread::name(); });
  EXPECT_EQ(name, "mine");
  EXPECT_EQ(block_on(number(1)), 1);
  EXPECT_EQ(thread.state(), ThreadState::running);
}

TEST(BlockOn, WaitsForWhatWasSpawnedBeside) {
  auto resource = std::make_shared<int>();
  run([&]() -> Task<> {
    CurrentThread::spawn([](std::shared_ptr<int>) -> Task<> {
      const auto ended = co_await as_result(sleep_for(1h));
      EXPECT_TRUE(is_cancelled(ended.error()));
    }(resource))
        .detach();
    co_return;
  });
  EXPECT_EQ(resource.use_count(), 1);
}

TEST(BlockOn, RefusesWhereItWouldStopAThread) {
  const auto would_block = make_error_code(Misuse::would_block);
  run([&]() -> Task<> {
    const auto result = co_await as_result([]() -> Task<> {
      block_on(number(1));
      co_return;
    }());
    EXPECT_EQ(result.error().code(), would_block);
    EXPECT_THAT(result.error().what(), HasSubstr("co_await the task instead"));
  });

  auto thread = Thread::attach("t");
  std::error_code in_message;
  std::error_code in_poller;
  EXPECT_TRUE(thread.handle().send([&] { in_message = error_of([] { block_on(number(1)); }); }));
  Poller poller([&] {
    in_poller = error_of([] { block_on(number(1)); });
    return PollResult::busy;
  });
  while (!in_message || !in_poller) thread.poll();
  EXPECT_EQ(in_message, would_block);
  EXPECT_EQ(in_poller, would_block);
}

TEST(BlockOn, RefusesOnAReactor) {
  detail::CoreHost::set_current_core(3);
  try {
    block_on(number(1));
    ADD_FAILURE() << "blocked a reactor";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), make_error_code(Misuse::would_block));
    EXPECT_THAT(error.what(), HasSubstr("core 3"));
  }
  detail::CoreHost::set_current_core(-1);
  EXPECT_EQ(block_on(number(1)), 1);
}

}  // namespace
}  // namespace spdkio
