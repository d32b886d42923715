#include <spdkio/runtime/poller.hpp>

#include <spdkio/base/unique_fd.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>

#include "runtime/test_support.hpp"

namespace spdkio {
namespace {

using namespace runtime_test;
using ::testing::HasSubstr;

TEST(Poller, IsCalledAtEveryRoundUntilDestroyed) {
  auto thread = Thread::attach("t");
  int calls = 0;
  {
    Poller poller(
        [&] {
          ++calls;
          return calls % 2 == 0 ? PollResult::busy : PollResult::idle;
        },
        {.name = "counter"});
    EXPECT_EQ(poller.name(), "counter");
    EXPECT_EQ(thread.poll(), 0u);
    EXPECT_EQ(thread.poll(), 1u);
    EXPECT_EQ(poller.calls(), 2u);
    EXPECT_EQ(poller.busy_calls(), 1u);
  }
  thread.poll();
  EXPECT_EQ(calls, 2);
}

TEST(Poller, PausesAndResumes) {
  auto thread = Thread::attach("t");
  int calls = 0;
  Poller poller([&] {
    ++calls;
    return PollResult::idle;
  });
  poller.pause();
  poller.pause();
  EXPECT_TRUE(poller.paused());
  thread.poll();
  EXPECT_EQ(calls, 0);
  poller.resume();
  poller.resume();
  thread.poll();
  EXPECT_EQ(calls, 1);
}

TEST(Poller, TimedOnesAreCalledAgainAndAgainWhileTheThreadSleeps) {
  auto thread = Thread::attach("t");
  int calls = 0;
  Poller poller(
      [&] {
        ++calls;
        return PollResult::busy;
      },
      {.name = "timer", .period = 500us});
  thread.run_until([&] { return calls >= 3; });
  poller.pause();
  const int before = calls;
  std::this_thread::sleep_for(2ms);
  thread.poll();
  EXPECT_EQ(calls, before);
  poller.resume();
  thread.run_until([&] { return calls > before; });
}

TEST(Poller, ASleepingThreadLooksAtPollersThatNothingWakes) {
  auto thread = Thread::attach("t");
  int calls = 0;
  Poller poller([&] {
    ++calls;
    return PollResult::idle;
  });
  thread.run_until([&] { return calls >= 20; });
}

TEST(Poller, AReadableDescriptorWakesTheThread) {
  auto thread = Thread::attach("t");
  const UniqueFd fd(::eventfd(0, EFD_NONBLOCK));
  std::uint64_t got = 0;
  Poller poller([&] { return ::read(fd.get(), &got, sizeof got) == sizeof got ? PollResult::busy : PollResult::idle; },
                {.name = "fd", .wake_fd = fd.get()});
  std::jthread writer([&] {
    std::this_thread::sleep_for(5ms);
    const std::uint64_t value = 7;
    EXPECT_EQ(::write(fd.get(), &value, sizeof value), 8);
  });
  thread.run_until([&] { return got != 0; });
  EXPECT_EQ(got, 7u);
  // It slept: had it looked all the time, that would be many calls.
  EXPECT_LT(poller.calls(), 100'000u);
}

TEST(Poller, ADescriptorThatCannotBeWatchedIsAnError) {
  auto thread = Thread::attach("t");
  EXPECT_THROW(Poller([] { return PollResult::idle; }, {.name = "bad", .wake_fd = 9999}), Error);
  thread.poll();
  EXPECT_EQ(detail::ThreadCore::current()->stats().active_pollers, 0u);
}

TEST(Poller, AnExceptionPausesItAndIsLogged) {
  LogCapture log;
  auto thread = Thread::attach("t");
  int calls = 0;
  auto throws = [&]() -> PollResult {
    ++calls;
    throw std::runtime_error("poller broke");
  };
  Poller plain(throws, {.name = "plain"});
  Poller timed(throws, {.name = "timed", .period = 1us});
  thread.run_until([&] { return plain.paused() && timed.paused(); });
  for (int i = 0; i < 5; ++i) thread.poll();
  EXPECT_EQ(calls, 2);
  EXPECT_THAT(log.text(), HasSubstr("poller 'plain' paused: poller broke"));
  EXPECT_THAT(log.text(), HasSubstr("poller 'timed' paused: poller broke"));
}

TEST(Poller, MayPauseOrDestroyItselfOrOthersWhenCalled) {
  auto thread = Thread::attach("t");
  auto captured = std::make_shared<int>(0);
  std::optional<Poller> self;
  std::optional<Poller> other;
  std::optional<Poller> timed;
  self.emplace([&, captured] {
    ++*captured;
    other.reset();
    self.reset();
    ++*captured;  // the captures live until the call ends
    return PollResult::busy;
  });
  other.emplace([&] {
    ADD_FAILURE() << "it was destroyed before its turn";
    return PollResult::idle;
  });
  timed.emplace(
      [&, captured] {
        timed.reset();
        *captured += 10;
        return PollResult::busy;
      },
      PollerOptions{.name = "timed", .period = 1us});
  thread.run_until([&] { return *captured == 12; });
  for (int i = 0; i < 3; ++i) thread.poll();
  EXPECT_EQ(*captured, 12);
  EXPECT_EQ(captured.use_count(), 1);
}

TEST(Poller, MayRegisterOthersWhenCalled) {
  auto thread = Thread::attach("t");
  std::optional<Poller> second;
  int calls = 0;
  Poller first([&] {
    if (!second) {
      second.emplace([&] {
        ++calls;
        return PollResult::busy;
      });
    }
    return PollResult::idle;
  });
  thread.run_until([&] { return calls >= 2; });
}

TEST(Poller, Moves) {
  auto thread = Thread::attach("t");
  int calls = 0;
  Poller first([&] {
    ++calls;
    return PollResult::idle;
  });
  Poller second = std::move(first);
  thread.poll();
  EXPECT_EQ(calls, 1);
  second = Poller([] { return PollResult::idle; });
  thread.poll();
  EXPECT_EQ(calls, 1);
}

TEST(Poller, NeedsAThreadAndAPossiblePeriod) {
  EXPECT_EQ(error_of([] { Poller poller([] { return PollResult::idle; }); }), make_error_code(Misuse::wrong_thread));
  auto thread = Thread::attach("t");
  EXPECT_EQ(error_of([] { Poller poller([] { return PollResult::idle; }, {.name = "p", .period = -1ns}); }),
            make_error_code(Misuse::invalid_argument));
}

TEST(Poller, OnAnotherThreadIsMisuse) {
  LogCapture log;
  OsThread other;
  auto poller = run([&]() -> Task<std::unique_ptr<Poller>> {
    auto make = [] { return std::make_unique<Poller>([] { return PollResult::idle; }, PollerOptions{.name = "far"}); };
    co_return co_await other.handle().call(make);
  });
  EXPECT_EQ(error_of([&] { poller->pause(); }), make_error_code(Misuse::wrong_thread));
  EXPECT_EQ(error_of([&] { poller->resume(); }), make_error_code(Misuse::wrong_thread));
  poller.reset();
  EXPECT_THAT(log.text(), HasSubstr("poller 'far' was destroyed on another thread than 'other'"));
  run([&]() -> Task<> {
    auto count = [] { return detail::ThreadCore::current()->stats().active_pollers; };
    EXPECT_EQ(co_await other.handle().call(count), 0u);
  });
}

TEST(Poller, MayOutliveItsThread) {
  std::optional<Poller> poller;
  {
    auto thread = Thread::attach("t");
    poller.emplace([] { return PollResult::idle; });
    thread.close();
  }
  poller->pause();
  poller->resume();
  EXPECT_EQ(poller->calls(), 0u);
  poller.reset();
}

TEST(Poller, DestroyedInsideATimedCallOfAnother) {
  auto thread = Thread::attach("t");
  int calls = 0;
  std::optional<Poller> victim;
  victim.emplace(
      [&] {
        ++calls;
        return PollResult::busy;
      },
      PollerOptions{.name = "victim", .period = 2ms});
  int calls_before = 0;
  Poller killer(
      [&] {
        if (victim) calls_before = calls;
        victim.reset();
        return PollResult::idle;
      },
      {.name = "killer", .period = 1us});
  thread.run_until([&] { return !victim; });
  std::this_thread::sleep_for(4ms);
  thread.poll();
  EXPECT_EQ(calls, calls_before);
}

}  // namespace
}  // namespace spdkio
