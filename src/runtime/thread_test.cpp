#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/completion.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/poller.hpp>
#include <spdkio/runtime/thread.hpp>

#include <algorithm>
#include <atomic>
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
using ::testing::Not;

Task<> until_stopped(bool& stopped) {
  const auto result = co_await as_result(sleep_for(1h));
  stopped = !result && is_cancelled(result.error());
}
Task<int> number(int value) {
  co_await yield();
  co_return value;
}

TEST(Thread, AttachedActsForTheOsThreadUntilItIsClosed) {
  EXPECT_FALSE(CurrentThread::exists());
  auto thread = Thread::attach("mine");
  EXPECT_TRUE(CurrentThread::exists());
  EXPECT_EQ(CurrentThread::name(), "mine");
  EXPECT_EQ(thread.name(), "mine");
  EXPECT_EQ(CurrentThread::id(), thread.id());
  EXPECT_EQ(CurrentThread::handle(), thread.handle());
  EXPECT_EQ(thread.state(), ThreadState::running);
  thread.close();
  EXPECT_FALSE(CurrentThread::exists());
  EXPECT_EQ(thread.state(), ThreadState::exited);
  thread.close();
  EXPECT_EQ(error_of([&] { thread.poll(); }), make_error_code(Misuse::already_closed));
  auto next = Thread::attach("next");
  EXPECT_NE(next.id(), thread.id());
}

TEST(Thread, OneForAnOsThread) {
  auto thread = Thread::attach("first");
  try {
    Thread::attach("second");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), make_error_code(Misuse::already_started));
    EXPECT_THAT(error.what(), HasSubstr("'first'"));
  }
}

TEST(Thread, QueriesWithoutOneAreMisuse) {
  const auto wrong_thread = make_error_code(Misuse::wrong_thread);
  EXPECT_EQ(error_of([] { CurrentThread::handle(); }), wrong_thread);
  EXPECT_EQ(error_of([] { CurrentThread::name(); }), wrong_thread);
  EXPECT_EQ(error_of([] { CurrentThread::id(); }), wrong_thread);
  EXPECT_EQ(error_of([] { CurrentThread::running_tasks(); }), wrong_thread);
  EXPECT_EQ(error_of([] { CurrentThread::spawn(number(1)).detach(); }), wrong_thread);
}

TEST(Thread, PollDoesARoundAndSaysHowMuch) {
  auto thread = Thread::attach("t");
  EXPECT_EQ(thread.poll(), 0u);
  auto handle = thread.spawn(number(3));
  EXPECT_FALSE(handle.done());
  while (thread.poll() != 0) {
  }
  EXPECT_TRUE(handle.done());
  EXPECT_EQ(handle.wait(), 3);
}

TEST(Thread, CloseStopsItsTasksAndWaitsForThem) {
  bool stopped = false;
  auto thread = Thread::attach("t");
  auto handle = thread.spawn(until_stopped(stopped));
  thread.close();
  EXPECT_TRUE(stopped);
  EXPECT_TRUE(handle.done());
  handle.wait();
}

TEST(Thread, TasksSpawnedWhileItClosesAreStoppedFromTheStart) {
  auto thread = Thread::attach("t");
  bool late_stopped = false;
  auto spawns_late = [](bool& flag) -> Task<> {
    const auto slept = co_await as_result(sleep_for(1h));
    EXPECT_FALSE(slept.has_value());
    EXPECT_EQ(CurrentThread::handle().state(), ThreadState::exiting);
    CurrentThread::spawn(until_stopped(flag)).detach();
  };
  thread.spawn(spawns_late(late_stopped)).detach();
  thread.close();
  EXPECT_TRUE(late_stopped);
}

TEST(Thread, DestroyedWithTasksThatEndWhenStoppedIsQuiet) {
  LogCapture log;
  bool stopped = false;
  {
    auto thread = Thread::attach("t");
    thread.spawn(until_stopped(stopped)).detach();
  }
  EXPECT_TRUE(stopped);
  EXPECT_EQ(log.text(), "");
}

TEST(Thread, DestroyedWithTasksThatDoNotEndNamesThemAndTellsTheirJoiners) {
  LogCapture log;
  const LeaksOnPurpose leaks;  // their frames are left alone
  std::optional<JoinHandle<>> handle;
  static Event never;
  {
    auto thread = Thread::attach("careless");
    auto deaf = []() -> Task<> {
      for (;;) {
        try {
          co_await never.wait();
        } catch (const Error&) {
        }
        auto [completer, done] = completion<int>();
        static std::vector<Completer<int>> kept;
        kept.push_back(std::move(completer));
        co_await std::move(done);  // a stop does not end this wait
      }
    };
    handle = thread.spawn(deaf(), "stubborn");
    thread.poll();
  }
  EXPECT_THAT(log.text(), HasSubstr("thread 'careless' ended while it still ran 1 task(s): stubborn ("));
  EXPECT_THAT(log.text(), HasSubstr("thread_test.cpp:"));
  EXPECT_THAT(log.text(), HasSubstr("waiting on completion"));
  try {
    handle->wait();
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), std::errc::no_such_process);
    EXPECT_THAT(error.what(), HasSubstr("thread 'careless' ended before its task did"));
    EXPECT_EQ(error.outcome(), Outcome::may_have_executed);
  }
}

TEST(Thread, EndedWithTasksStillQueuedRefusesThem) {
  auto resource = std::make_shared<int>();
  std::optional<JoinHandle<>> handle;
  bool message_ran = false;
  {
    auto thread = Thread::attach("t");
    handle = thread.spawn([](std::shared_ptr<int>) -> Task<> { co_return; }(resource));
    EXPECT_TRUE(thread.handle().send([&message_ran, resource] { message_ran = true; }));
    detail::ThreadCore::current()->finish();  // gives up before the first poll
  }
  EXPECT_EQ(error_of([&] { handle->wait(); }), std::make_error_code(std::errc::no_such_process));
  EXPECT_FALSE(message_ran);
  EXPECT_EQ(resource.use_count(), 1);  // nothing of them is left
}

TEST(Thread, RefusesToBeRunFromInsideOrElsewhere) {
  auto thread = Thread::attach("t");
  std::vector<std::error_code> codes;
  EXPECT_TRUE(thread.handle().send([&] {
    codes.push_back(error_of([&] { thread.poll(); }));
    codes.push_back(error_of([&] { thread.close(); }));
    codes.push_back(error_of([&] { thread.run_until([] { return true; }); }));
    codes.push_back(error_of([&] { thread.fd(); }));
  }));
  thread.poll();
  EXPECT_THAT(codes, ::testing::Each(make_error_code(Misuse::would_block)));
  EXPECT_EQ(codes.size(), 4u);

  codes.clear();
  std::thread elsewhere([&] {
    codes.push_back(error_of([&] { thread.poll(); }));
    codes.push_back(error_of([&] { thread.close(); }));
    codes.push_back(error_of([&] { thread.fd(); }));
  });
  elsewhere.join();
  EXPECT_THAT(codes, ::testing::Each(make_error_code(Misuse::wrong_thread)));
  EXPECT_EQ(error_of([&] { block_on(thread.exit()); }), make_error_code(Misuse::would_block));
}

TEST(Thread, DestroyedInsideItselfIsLoggedAndStays) {
  LogCapture log;
  std::thread own([] {
    auto thread = std::make_unique<Thread>(Thread::attach("suicidal"));
    auto* core = detail::ThreadCore::current();
    EXPECT_TRUE(thread->handle().send([&] { thread.reset(); }));
    core->poll();
    EXPECT_EQ(thread, nullptr);
    EXPECT_TRUE(CurrentThread::exists());
    core->poll();
  });
  own.join();
  EXPECT_THAT(log.text(), HasSubstr("thread 'suicidal' was destroyed inside itself"));
}

TEST(Thread, DestroyedOnAnotherOsThreadIsLoggedAndStays) {
  LogCapture log;
  std::thread owner([] {
    auto thread = std::make_unique<Thread>(Thread::attach("elsewhere"));
    const auto handle = thread->handle();
    std::thread([&] { thread.reset(); }).join();
    EXPECT_TRUE(handle.is_current());
    EXPECT_EQ(handle.state(), ThreadState::running);
    detail::ThreadCore::current()->poll();
  });
  owner.join();
  EXPECT_THAT(log.text(), HasSubstr("thread 'elsewhere' was destroyed on another OS thread"));
}

TEST(Thread, ExceptionsOfMessagesAreContained) {
  LogCapture log;
  auto thread = Thread::attach("t");
  bool next_ran = false;
  EXPECT_TRUE(thread.handle().send([] { throw std::runtime_error("message broke"); }));
  EXPECT_TRUE(thread.handle().send([&] { next_ran = true; }));
  thread.poll();
  EXPECT_TRUE(next_ran);
  EXPECT_THAT(log.text(), HasSubstr("a message to thread 't' threw: message broke"));
}

TEST(Thread, ASpinningTaskDoesNotStarveTimersMessagesAndPollers) {
  auto thread = Thread::attach("t");
  bool stop = false;
  auto spins = [](bool& flag) -> Task<> {
    while (!flag) co_await yield();
  };
  auto handle = thread.spawn(spins(stop));
  int polled = 0;
  Poller poller([&] {
    ++polled;
    return PollResult::idle;
  });
  bool slept = false;
  auto sleeper = [](bool& flag) -> Task<> {
    co_await sleep_for(1ms);
    flag = true;
  };
  auto timer = thread.spawn(sleeper(slept));
  thread.run_until([&] { return slept && polled > 1; });
  EXPECT_TRUE(thread.handle().send([&] { stop = true; }));
  thread.run_until([&] { return handle.done() && timer.done(); });
}

TEST(Thread, LocalsAreKeptByKeyAndDestroyedInReverse) {
  std::vector<int> destroyed;
  struct Local {
    Local(std::vector<int>& to, int value) : list(to), id(value) {}
    ~Local() { list.push_back(id); }
    std::vector<int>& list;
    int id;
  };
  static const int first_key = 0;
  static const int second_key = 0;
  {
    auto thread = Thread::attach("t");
    auto& core = *detail::ThreadCore::current();
    auto& slot = core.local(&first_key);
    EXPECT_EQ(slot, nullptr);
    for (int i = 0; i < 100; ++i) core.local(reinterpret_cast<const void*>(std::uintptr_t(i + 1)));
    slot = std::make_shared<Local>(destroyed, 1);  // still the same place
    core.local(&second_key) = std::make_shared<Local>(destroyed, 2);
    EXPECT_EQ(std::static_pointer_cast<Local>(core.local(&first_key))->id, 1);
    thread.close();
  }
  EXPECT_THAT(destroyed, ElementsAre(2, 1));
}

TEST(Thread, StatisticsCount) {
  auto thread = Thread::attach("t");
  Poller timed([] { return PollResult::idle; }, {.name = "timed", .period = 1h});
  Poller active([] { return PollResult::idle; });
  Poller paused([] { return PollResult::idle; });
  paused.pause();
  bool stopped = false;
  thread.spawn(until_stopped(stopped)).detach();
  thread.poll();
  const auto stats = detail::ThreadCore::current()->stats();
  EXPECT_EQ(stats.timed_pollers, 1u);
  EXPECT_EQ(stats.active_pollers, 1u);
  EXPECT_EQ(stats.paused_pollers, 1u);
  EXPECT_EQ(stats.tasks, 1u);
  EXPECT_EQ(stats.polls, 1u);
  thread.close();
}

struct ManualClock final : detail::ClockSource {
  std::uint64_t now_ticks() noexcept override { return now; }
  std::uint64_t now = 1000;
};

TEST(ThreadCore, FollowsASuppliedClock) {
  ManualClock clock;
  detail::ThreadCore core("simulated", CpuSet{}, &clock);
  std::vector<int> order;
  auto sleeper = [](std::vector<int>& to, int id, std::chrono::nanoseconds duration) -> Task<> {
    co_await sleep_for(duration);
    to.push_back(id);
  };
  const ThreadHandle handle{core.mailbox()};
  for (int i = 0; i < 3; ++i) handle.spawn(sleeper(order, i, 10s)).detach();
  handle.spawn(sleeper(order, 9, 5s)).detach();
  while (core.poll() != 0) {
  }
  EXPECT_TRUE(order.empty());
  EXPECT_GT(core.next_wait(), 4s);
  EXPECT_LE(core.next_wait(), 5s + 1us);
  clock.now = ticks_after(clock.now, 20s);
  while (core.poll() != 0) {
  }
  EXPECT_THAT(order, ElementsAre(9, 0, 1, 2));
  EXPECT_LT(core.next_wait(), 0s);
}

/// An engine's part: polls Threads until they have ended.
class FakeReactor final : public detail::ThreadHost {
 public:
  FakeReactor() {
    detail::ThreadHost::install(this);
    os_thread_ = std::thread([this] { run(); });
  }
  ~FakeReactor() {
    detail::ThreadHost::install(nullptr);
    stop_ = true;
    os_thread_.join();
  }
  std::shared_ptr<detail::ThreadCore> place_thread(std::string name, const CpuSet& cpumask) override {
    auto core = std::make_shared<detail::ThreadCore>(std::move(name), cpumask);
    const std::lock_guard lock(mutex_);
    cores_.push_back(core);
    return core;
  }

 private:
  void run() {
    while (!stop_) {
      std::vector<std::shared_ptr<detail::ThreadCore>> cores;
      {
        const std::lock_guard lock(mutex_);
        cores = cores_;
      }
      for (const auto& core : cores) {
        core->poll();
        if (core->mailbox()->state() != ThreadState::exiting || !core->drained()) continue;
        core->finish();
        const std::lock_guard lock(mutex_);
        std::erase(cores_, core);
      }
      std::this_thread::yield();
    }
  }
  std::mutex mutex_;
  std::vector<std::shared_ptr<detail::ThreadCore>> cores_;
  std::atomic<bool> stop_{false};
  std::thread os_thread_;
};

TEST(Thread, OnAReactorRunsClosesAndExits) {
  FakeReactor reactor;
  auto thread = Thread::create("worker");
  EXPECT_EQ(thread.spawn(number(5)).wait(), 5);
  EXPECT_EQ(error_of([&] { thread.poll(); }), make_error_code(Misuse::invalid_argument));
  bool stopped = false;
  auto handle = thread.spawn(until_stopped(stopped));
  thread.close();
  handle.wait();
  EXPECT_TRUE(stopped);
  EXPECT_EQ(thread.state(), ThreadState::exited);
  EXPECT_FALSE(ThreadHandle::find("worker").has_value());

  auto second = Thread::create("second");
  bool second_stopped = false;
  auto second_handle = second.spawn(until_stopped(second_stopped));
  block_on(second.exit());
  EXPECT_EQ(second.state(), ThreadState::exited);
  second_handle.wait();
  EXPECT_TRUE(second_stopped);
  block_on(second.exit());  // again: nothing to wait for

  std::optional<JoinHandle<int>> left_running;
  ThreadHandle left;
  {
    auto third = Thread::create("third");
    left = third.handle();
    left_running = third.spawn(number(7));
  }  // asked to end, not waited for
  EXPECT_EQ(left_running->wait(), 7);
  left.mailbox()->wait_exited();
}

}  // namespace
}  // namespace spdkio
