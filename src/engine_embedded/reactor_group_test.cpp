#include "engine_embedded/reactor_group.hpp"

#include <spdkio/runtime/poller.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/runtime/task.hpp>
#include <spdkio/runtime/thread.hpp>

#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <optional>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

namespace spdkio::embedded {
namespace {

using namespace std::chrono_literals;

CpuSet some_cores() {
  CpuSet cores;
  for (const unsigned core : CpuSet::allowed()) {
    if (cores.count() < 2) cores.add(core);
  }
  return cores;
}

ReactorGroupOptions options(PollMode mode = PollMode::adaptive) {
  const CpuSet cores = some_cores();
  return {.name = "test", .cores = cores, .main_core = *cores.first(), .poll_mode = mode};
}

Task<> wait_for_ever() { co_await sleep_for(24h); }

Task<int> answer() { co_return 42; }

TEST(ReactorGroup, StartsAndStopsManyTimes) {
  for (int i = 0; i < 50; ++i) {
    ReactorGroup group(options());
    Thread thread = Thread::create("worker");
    EXPECT_EQ(thread.spawn(answer()).wait(), 42);
    thread.close();
  }
}

TEST(ReactorGroup, StopsBeforeAnythingRan) {
  {
    const ReactorGroup group{options()};
  }
  auto with_caller = options();
  with_caller.main_reactor = MainReactor::caller;
  const ReactorGroup group{with_caller};
}

TEST(ReactorGroup, ThreadIsPlacedOnTheCoreOfItsMask) {
  ReactorGroup group(options());
  ASSERT_EQ(Cores::count(), some_cores().count());
  EXPECT_EQ(Cores::main(), CoreId{*some_cores().first()});
  for (const CoreId core : Cores::all()) {
    Thread thread = Thread::create("placed", CpuSet{static_cast<unsigned>(core)});
    const auto where = [] { return std::pair{Cores::current(), ::sched_getcpu()}; };
    std::optional<std::pair<CoreId, int>> seen;
    std::binary_semaphore done{0};
    ASSERT_TRUE(thread.handle().send([&] {
      seen = where();
      done.release();
    }));
    done.acquire();
    EXPECT_EQ(seen->first, core);
    EXPECT_EQ(seen->second, static_cast<int>(core));
    EXPECT_EQ(ThreadHandle::find("placed"), thread.handle());
    EXPECT_EQ(ThreadHandle::find(thread.id()), thread.handle());
    thread.close();
    EXPECT_EQ(ThreadHandle::find("placed"), std::nullopt);
    EXPECT_EQ(thread.state(), ThreadState::exited);
  }
}

TEST(ReactorGroup, ThreadsAreSpreadOverTheReactors) {
  ReactorGroup group(options());
  std::vector<Thread> threads;
  for (std::size_t i = 0; i < 2 * Cores::count(); ++i) threads.push_back(Thread::create("t" + std::to_string(i)));
  for (const auto& info : group.info()) EXPECT_EQ(info.threads.size(), 2u);
}

TEST(ReactorGroup, EventReachesEveryCore) {
  ReactorGroup group(options());
  for (const CoreId core : Cores::all()) {
    std::binary_semaphore done{0};
    CoreId seen{};
    bool on_a_thread = true;
    ASSERT_TRUE(LcoreEvent::send(core, [&] {
      seen = Cores::current();
      on_a_thread = CurrentThread::exists();
      done.release();
    }));
    done.acquire();
    EXPECT_EQ(seen, core);
    EXPECT_FALSE(on_a_thread);
  }
}

TEST(ReactorGroup, EventThatThrowsIsSurvived) {
  ReactorGroup group(options());
  ASSERT_TRUE(LcoreEvent::send(Cores::main(), [] { throw std::runtime_error("expected in this test"); }));
  std::binary_semaphore done{0};
  ASSERT_TRUE(LcoreEvent::send(Cores::main(), [&] { done.release(); }));
  done.acquire();
}

TEST(ReactorGroup, EventToCoreWithoutReactorIsRefused) {
  ReactorGroup group(options());
  const auto sent = LcoreEvent::send(CoreId{1000}, [] {});
  ASSERT_FALSE(sent);
  EXPECT_NE(std::string(sent.error().what()).find("core 1000"), std::string::npos) << sent.error().what();
}

TEST(ReactorGroup, NothingIsServedAfterTheEnd) {
  {
    ReactorGroup group(options());
  }
  EXPECT_FALSE(LcoreEvent::send(CoreId{0}, [] {}));
  EXPECT_THROW(Thread::create("late"), Error);
  EXPECT_THROW(Cores::all(), Error);
}

TEST(ReactorGroup, WithoutReactorsItSaysWhatToDo) {
  ReactorGroup group({.name = "none", .cores = {}});
  try {
    Thread::create("t");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), make_error_code(Misuse::not_started));
    EXPECT_NE(error.hint().find("Thread::attach"), std::string::npos);
  }
  EXPECT_THROW(group.run(), Error);
  EXPECT_TRUE(group.info().empty());
}

TEST(ReactorGroup, MaskWithoutReactorIsRefused) {
  ReactorGroup group(options());
  try {
    Thread::create("t", CpuSet{1000});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), make_error_code(Misuse::invalid_argument));
    EXPECT_NE(std::string(error.what()).find("[1000]"), std::string::npos) << error.what();
  }
}

TEST(ReactorGroup, StopEndsSleepingTasks) {
  std::optional<JoinHandle<>> handle;
  ThreadHandle thread;
  {
    ReactorGroup group(options());
    Thread owner = Thread::create("sleeper");
    thread = owner.handle();
    handle = owner.spawn(wait_for_ever(), "sleeps");
    ASSERT_EQ(owner.spawn(answer()).wait(), 42);
    group.request_stop();
  }
  EXPECT_EQ(thread.state(), ThreadState::exited);
  try {
    handle->wait();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), std::errc::operation_canceled);
  }
  EXPECT_FALSE(thread.send([] {}));
}

Task<> busy(std::atomic<int>& rounds) {
  for (;;) {
    ++rounds;
    co_await sleep_for(0ns);
  }
}

TEST(ReactorGroup, StopEndsBusyTasks) {
  std::atomic<int> rounds{0};
  std::optional<JoinHandle<>> handle;
  {
    ReactorGroup group(options());
    Thread owner = Thread::create("busy");
    handle = owner.spawn(busy(rounds), "busy");
    while (rounds < 1000) std::this_thread::yield();
  }
  EXPECT_TRUE(handle->done());
  EXPECT_THROW(handle->wait(), Error);
}

/// Answers a stop by work on another Thread that has nothing of its own left.
Task<> clean_up_elsewhere(ThreadHandle elsewhere, std::atomic<bool>& cleaned, std::binary_semaphore& started) {
  started.release();
  try {
    co_await sleep_for(24h);
  } catch (const Error&) {
  }
  auto note = [&cleaned] { cleaned = true; };
  for (int i = 0; i < 100; ++i) co_await elsewhere.call(note);
}

TEST(ReactorGroup, ThreadsEndTogether) {
  std::atomic<bool> cleaned{false};
  std::optional<ReactorGroup> group(std::in_place, options());
  Thread first = Thread::create("first", CpuSet{*some_cores().first()});
  Thread second = Thread::create("second");
  std::binary_semaphore started{0};
  auto handle = first.spawn(clean_up_elsewhere(second.handle(), cleaned, started));
  started.acquire();
  group.reset();
  EXPECT_NO_THROW(handle.wait());
  EXPECT_TRUE(cleaned);
}

Task<> own_a_busy_poller(std::binary_semaphore& started) {
  Poller poller([] { return PollResult::busy; });
  started.release();
  co_await sleep_for(24h);
}

TEST(ReactorGroup, PollersOfTasksEndWithThem) {
  std::optional<JoinHandle<>> handle;
  {
    ReactorGroup group(options());
    Thread owner = Thread::create("polls");
    std::binary_semaphore started{0};
    handle = owner.spawn(own_a_busy_poller(started));
    started.acquire();
  }
  EXPECT_TRUE(handle->done());
  EXPECT_THROW(handle->wait(), Error);
}

TEST(ReactorGroup, PollerThatIsNeverIdleDoesNotHoldUpTheEnd) {
  std::optional<Poller> poller;
  {
    ReactorGroup group(options());
    Thread owner = Thread::create("polls");
    std::binary_semaphore started{0};
    ASSERT_TRUE(owner.handle().send([&] {
      poller.emplace([] { return PollResult::busy; });
      started.release();
    }));
    started.acquire();
  }
  poller.reset();
}

TEST(ReactorGroup, CloseOfOneThreadLeavesTheOthers) {
  ReactorGroup group(options());
  Thread stays = Thread::create("stays");
  Thread goes = Thread::create("goes");
  auto sleeping = goes.spawn(wait_for_ever());
  goes.close();
  EXPECT_THROW(sleeping.wait(), Error);
  EXPECT_EQ(stays.spawn(answer()).wait(), 42);
}

TEST(ReactorGroup, DroppedThreadEnds) {
  ReactorGroup group(options());
  ThreadHandle handle;
  {
    Thread dropped = Thread::create("dropped");
    handle = dropped.handle();
  }
  handle.mailbox()->wait_exited();
  EXPECT_EQ(ThreadHandle::find("dropped"), std::nullopt);
}

Task<> exit_other(Thread& other) { co_await other.exit(); }

TEST(ReactorGroup, ThreadExitIsAwaited) {
  ReactorGroup group(options());
  Thread waiter = Thread::create("waiter");
  Thread goes = Thread::create("goes");
  auto sleeping = goes.spawn(wait_for_ever());
  waiter.spawn(exit_other(goes)).wait();
  EXPECT_EQ(goes.state(), ThreadState::exited);
  EXPECT_TRUE(sleeping.done());
  EXPECT_THROW(sleeping.wait(), Error);
}

TEST(ReactorGroup, CloseOnAReactorIsRefused) {
  ReactorGroup group(options());
  Thread a = Thread::create("a");
  Thread b = Thread::create("b");
  auto close_b = [&]() -> Task<> {
    b.close();
    co_return;
  };
  try {
    a.spawn(close_b()).wait();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), make_error_code(Misuse::would_block));
  }
}

class EveryPollMode : public testing::TestWithParam<PollMode> {};

TEST_P(EveryPollMode, WakesForMessagesFromForeignOsThreads) {
  ReactorGroup group(options(GetParam()));
  EXPECT_EQ(group.poll_mode(), GetParam());
  Thread thread = Thread::create("woken");
  std::atomic<int> received{0};
  std::vector<std::thread> senders;
  for (int s = 0; s < 3; ++s) {
    senders.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        std::binary_semaphore done{0};
        ASSERT_TRUE(thread.handle().send([&] {
          ++received;
          done.release();
        }));
        done.acquire();
        if (i % 10 == 0) std::this_thread::sleep_for(200us);  // long enough for an adaptive reactor to sleep
      }
    });
  }
  for (auto& sender : senders) sender.join();
  EXPECT_EQ(received, 600);
}

TEST_P(EveryPollMode, TimersFire) {
  ReactorGroup group(options(GetParam()));
  Thread thread = Thread::create("timed");
  auto naps = []() -> Task<int> {
    int count = 0;
    for (; count < 20; ++count) co_await sleep_for(300us);
    co_return count;
  };
  EXPECT_EQ(thread.spawn(naps()).wait(), 20);
}

TEST_P(EveryPollMode, PollersThatNothingWakesAreCalled) {
  ReactorGroup group(options(GetParam()));
  Thread thread = Thread::create("polls");
  auto count_calls = []() -> Task<std::uint64_t> {
    Poller poller([] { return PollResult::idle; });
    while (poller.calls() < 5) co_await sleep_for(1ms);
    co_return poller.calls();
  };
  EXPECT_GE(thread.spawn(count_calls()).wait(), 5u);
}

INSTANTIATE_TEST_SUITE_P(All, EveryPollMode, testing::Values(PollMode::busy, PollMode::adaptive, PollMode::interrupt),
                         [](const auto& test) { return std::string(to_string(test.param)); });

std::uint64_t polls_of(const Thread& thread) {
  std::uint64_t polls = 0;
  std::binary_semaphore done{0};
  EXPECT_TRUE(thread.handle().send([&] {
    polls = detail::ThreadCore::current()->stats().polls;
    done.release();
  }));
  done.acquire();
  return polls;
}

void wait_until_sleeping(const ReactorGroup& group) {
  for (;;) {
    bool all = true;
    for (const auto& info : group.info()) all = all && info.sleeping;
    if (all) return;
    std::this_thread::sleep_for(1ms);
  }
}

TEST(ReactorGroup, IdleAdaptiveReactorSleeps) {
  ReactorGroup group(options());
  Thread thread = Thread::create("idle");
  (void)polls_of(thread);
  wait_until_sleeping(group);
  std::uint64_t slept_through = polls_of(thread);
  wait_until_sleeping(group);
  // From one sleep to the next there is only what one message and its spin need; a spinning reactor would make tens of
  // millions of polls.
  std::this_thread::sleep_for(300ms);
  const std::uint64_t later = polls_of(thread);
  EXPECT_LT(later - slept_through, 50'000u);
  EXPECT_GT(later, slept_through);
}

TEST(ReactorGroup, PollModeCanBeChangedWhileReactorsSleep) {
  ReactorGroup group(options(PollMode::interrupt));
  Thread thread = Thread::create("t");
  (void)polls_of(thread);
  wait_until_sleeping(group);
  group.set_poll_mode(PollMode::busy);
  // A busy reactor polls on its own; wait for many rounds that nothing asked for.
  const std::uint64_t start = polls_of(thread);
  while (polls_of(thread) - start < 100'000) std::this_thread::sleep_for(1ms);
  group.set_poll_mode(PollMode::interrupt);
  wait_until_sleeping(group);
}

TEST(ReactorGroup, TimeIsAccounted) {
  ReactorGroup group(options());
  Thread thread = Thread::create("t", CpuSet{*some_cores().first()});
  const auto spin = [] {
    const auto end = std::chrono::steady_clock::now() + 5ms;
    while (std::chrono::steady_clock::now() < end) {
    }
  };
  std::binary_semaphore done{0};
  ASSERT_TRUE(thread.handle().send([&] { spin(); }));
  ASSERT_TRUE(thread.handle().send([&] { done.release(); }));
  done.acquire();
  (void)polls_of(thread);
  wait_until_sleeping(group);
  std::this_thread::sleep_for(5ms);
  (void)polls_of(thread);
  wait_until_sleeping(group);
  const auto info = group.info().front();
  EXPECT_GE(info.busy_ticks, ticks_from(5ms));
  EXPECT_GE(info.idle_ticks, ticks_from(5ms));
  EXPECT_EQ(info.threads.size(), 1u);
}

TEST(ReactorGroup, RunsTheMainReactorOnTheCaller) {
  auto on_caller = options();
  on_caller.main_reactor = MainReactor::caller;
  const CpuSet allowed_before = CpuSet::allowed();
  ReactorGroup group(on_caller);
  Thread thread = Thread::create("main", CpuSet{on_caller.main_core});
  const auto caller = std::this_thread::get_id();
  std::thread::id ran_on;
  ASSERT_TRUE(thread.handle().send([&] {
    ran_on = std::this_thread::get_id();
    group.request_stop();
  }));
  group.run();
  EXPECT_EQ(ran_on, caller);
  EXPECT_EQ(CpuSet::allowed(), allowed_before);
  EXPECT_EQ(thread.state(), ThreadState::exited);
  EXPECT_THROW(group.run(), Error);
}

TEST(ReactorGroup, RunIsRefusedWhenTheMainReactorHasItsOwnOsThread) {
  ReactorGroup group(options());
  EXPECT_THROW(group.run(), Error);
}

TEST(ReactorGroup, WorkerOsThreadsLeaveSignalsToTheProgram) {
  ReactorGroup group(options());
  std::binary_semaphore done{0};
  bool blocked = false;
  std::array<char, 16> name{};
  ASSERT_TRUE(LcoreEvent::send(Cores::main(), [&] {
    sigset_t set;
    ::pthread_sigmask(SIG_BLOCK, nullptr, &set);
    blocked = ::sigismember(&set, SIGTERM) == 1 && ::sigismember(&set, SIGSEGV) == 0;
    ::pthread_getname_np(::pthread_self(), name.data(), name.size());
    done.release();
  }));
  done.acquire();
  EXPECT_TRUE(blocked);
  EXPECT_EQ(std::string(name.data()), "test/" + std::to_string(*some_cores().first()));
}

TEST(ReactorGroup, ThreadsAreRefusedWhileStopping) {
  ReactorGroup group(options());
  Thread holder = Thread::create("holder");
  std::binary_semaphore refused{0};
  auto try_after_stop = [&]() -> Task<> {
    try {
      co_await sleep_for(24h);
    } catch (const Error&) {
    }
    try {
      Thread::create("late");
    } catch (const Error&) {
      refused.release();
    }
  };
  auto handle = holder.spawn(try_after_stop());
  ASSERT_EQ(holder.spawn(answer()).wait(), 42);
  group.request_stop();
  refused.acquire();
  handle.wait();
}

}  // namespace
}  // namespace spdkio::embedded
