// Thread::fd: somebody else's event loop waits for the descriptor with poll(2) and calls Thread::poll when it is
// readable.
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/poller.hpp>
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/thread.hpp>

#include <poll.h>

#include <atomic>
#include <optional>
#include <thread>
#include <utility>

#include "runtime/test_support.hpp"

namespace spdkio {
namespace {

using namespace runtime_test;

class ForeignLoop {
 public:
  explicit ForeignLoop(Thread& thread) : thread_(thread), fd_(thread.fd()) {}
  /// False when nothing came for that long.
  bool turn(int timeout_ms) {
    pollfd fd{.fd = fd_, .events = POLLIN, .revents = 0};
    if (::poll(&fd, 1, timeout_ms) != 1) return false;
    ++turns;
    thread_.poll();
    return true;
  }
  template <class F>
  void run_until(F done) {
    while (!done()) {
      if (!turn(20'000)) {
        ADD_FAILURE() << "the descriptor did not become readable";
        return;
      }
    }
  }
  /// Lets what was left over be done; afterwards nothing may wake the loop.
  void settle() {
    while (turn(0)) {
    }
  }
  int turns = 0;

 private:
  Thread& thread_;
  int fd_;
};

Task<int> nap(std::chrono::nanoseconds duration) {
  co_await sleep_for(duration);
  co_return 1;
}

TEST(ForeignLoop, IsQuietWhileThereIsNothingToDo) {
  auto thread = Thread::attach("t");
  ForeignLoop loop(thread);
  loop.settle();
  EXPECT_LE(loop.turns, 2);
  EXPECT_FALSE(loop.turn(20));
}

TEST(ForeignLoop, ATaskSpawnedBetweenPollsWakesIt) {
  auto thread = Thread::attach("t");
  ForeignLoop loop(thread);
  loop.settle();
  for (int i = 0; i < 10; ++i) {
    auto handle = thread.spawn(nap(0ns));
    loop.run_until([&] { return handle.done(); });
  }
  loop.settle();
  EXPECT_FALSE(loop.turn(20));
}

TEST(ForeignLoop, ATimerWakesItWithFewTurns) {
  auto thread = Thread::attach("t");
  ForeignLoop loop(thread);
  auto handle = thread.spawn(nap(10ms));
  auto longer = thread.spawn(nap(20ms));
  loop.run_until([&] { return handle.done() && longer.done(); });
  EXPECT_LE(loop.turns, 20);  // it slept in between; the exact number depends on the kernel's timers
  loop.settle();
  EXPECT_FALSE(loop.turn(10));
}

TEST(ForeignLoop, AMessageFromAnotherOsThreadWakesIt) {
  auto thread = Thread::attach("t");
  ForeignLoop loop(thread);
  loop.settle();
  const int before = loop.turns;
  bool got = false;
  std::jthread sender([&, handle = thread.handle()] {
    std::this_thread::sleep_for(5ms);
    EXPECT_TRUE(handle.send([&] { got = true; }));
  });
  loop.run_until([&] { return got; });
  EXPECT_LE(loop.turns - before, 3);
  loop.settle();
  EXPECT_FALSE(loop.turn(10));
}

TEST(ForeignLoop, NoMessageOfManyIsMissed) {
  auto thread = Thread::attach("t");
  ForeignLoop loop(thread);
  constexpr int messages = sanitized ? 2'000 : 20'000;
  int got = 0;
  std::jthread sender([&, handle = thread.handle()] {
    for (int i = 0; i < messages; ++i) {
      EXPECT_TRUE(handle.send([&] { ++got; }));
      if (i % 16 == 0) std::this_thread::yield();
    }
  });
  loop.run_until([&] { return got == messages; });
  sender.join();
  loop.settle();
  EXPECT_FALSE(loop.turn(10));
}

TEST(ForeignLoop, WorkMadeBetweenPollsByTheOsThreadItselfWakesIt) {
  auto thread = Thread::attach("t");
  ForeignLoop loop(thread);
  Event event;
  auto waiter = thread.spawn([](Event& e) -> Task<> { co_await e.wait(); }(event));
  loop.settle();
  event.set();  // as a callback of the foreign loop would
  loop.run_until([&] { return waiter.done(); });

  int calls = 0;
  std::optional<Poller> timed;
  timed.emplace(
      [&] {
        ++calls;
        return PollResult::busy;
      },
      PollerOptions{.name = "timed", .period = 1ms});
  loop.run_until([&] { return calls >= 2; });
  timed.reset();
  loop.settle();
  EXPECT_FALSE(loop.turn(10));
}

TEST(ForeignLoop, PollersThatNothingWakesAreLookedAtFromTimeToTime) {
  auto thread = Thread::attach("t");
  ForeignLoop loop(thread);
  int calls = 0;
  std::optional<Poller> poller;
  poller.emplace([&] {
    ++calls;
    return PollResult::idle;
  });
  loop.run_until([&] { return calls >= 10; });
  poller.reset();
  loop.settle();
  EXPECT_FALSE(loop.turn(10));
}

TEST(ForeignLoop, AShorterTimerAndACancelledOneRearmIt) {
  auto thread = Thread::attach("t");
  ForeignLoop loop(thread);
  auto longer = thread.spawn(nap(1h));
  loop.settle();
  auto shorter = thread.spawn(nap(2ms));
  loop.run_until([&] { return shorter.done(); });
  longer.request_stop();
  loop.run_until([&] { return longer.done(); });
  EXPECT_EQ(error_of([&] { longer.wait(); }), std::make_error_code(std::errc::operation_canceled));
  loop.settle();
  EXPECT_FALSE(loop.turn(10));
}

TEST(ForeignLoop, BlockingCallsInBetweenDoNotDisturbIt) {
  auto thread = Thread::attach("t");
  ForeignLoop loop(thread);
  EXPECT_EQ(block_on(nap(1ms)), 1);
  thread.run_until([] { return true; });
  loop.settle();
  EXPECT_FALSE(loop.turn(10));
  auto handle = thread.spawn(nap(1ms));
  loop.run_until([&] { return handle.done(); });
}

}  // namespace
}  // namespace spdkio
