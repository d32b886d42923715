// FdDriver in an epoll loop of the test's own, and the part that all drivers share.
#include <spdkio/adapters/fd_driver.hpp>
#include <spdkio/runtime/completion.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/stop_token.hpp>
#include <spdkio/runtime/with_timeout.hpp>

#include <sys/epoll.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <vector>

#include "adapters/test_tasks.hpp"
#include "runtime/test_support.hpp"

namespace spdkio {
namespace {

using namespace adapters_test;
using namespace runtime_test;

class EpollLoop : public ::testing::Test {
 protected:
  void SetUp() override {
    epoll_event event{.events = EPOLLIN, .data = {}};
    ASSERT_EQ(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, driver_.fd(), &event), 0);
  }
  /// One turn; false when nothing came for that long.
  bool turn(int timeout_ms) {
    epoll_event event;
    if (::epoll_wait(epoll_.get(), &event, 1, timeout_ms) != 1) return false;
    driver_.dispatch();
    return true;
  }
  template <class F>
  void run_until(F done) {
    while (!done()) ASSERT_TRUE(turn(20'000)) << "the descriptor did not become readable";
  }
  /// Afterwards nothing may wake the loop.
  void settle() {
    while (turn(0)) {
    }
  }

  UniqueFd epoll_{::epoll_create1(EPOLL_CLOEXEC)};
  Thread thread_ = Thread::attach("storage");
  FdDriver driver_{thread_};
};

TEST_F(EpollLoop, CallbacksGetValuesAndErrors) {
  std::optional<Result<int>> value;
  std::optional<Result<>> failure;
  driver_.start(answer(42), [&](Result<int> result) { value = std::move(result); });
  driver_.start(
      []() -> Task<> {
        co_await yield();
        Error error(std::errc::io_error);
        throw std::move(error).with_device("disk0");
      }(),
      [&](Result<> result) { failure = std::move(result); });
  EXPECT_EQ(driver_.in_flight(), 2u);
  EXPECT_FALSE(value || failure);
  run_until([&] { return driver_.in_flight() == 0; });
  ASSERT_TRUE(value && *value);
  EXPECT_EQ(**value, 42);
  ASSERT_TRUE(failure && !*failure);
  EXPECT_EQ(failure->error().device(), "disk0");
}

TEST_F(EpollLoop, ReferencesAndMoveOnlyValues) {
  int object = 1;
  std::string moved_text;
  driver_.start([](int& referred) -> Task<int&> { co_return referred; }(object),
                [](Result<std::reference_wrapper<int>> result) { result->get() = 2; });
  driver_.start([]() -> Task<std::unique_ptr<std::string>> { co_return std::make_unique<std::string>("moved"); }(),
                [&](Result<std::unique_ptr<std::string>> result) { moved_text = **result; });
  run_until([&] { return driver_.in_flight() == 0; });
  EXPECT_EQ(object, 2);
  EXPECT_EQ(moved_text, "moved");
}

TEST_F(EpollLoop, WhatAnOperationOwnsIsGoneBeforeItsCallback) {
  auto owned = std::make_shared<int>(1);
  long uses = 0;
  driver_.start([](std::shared_ptr<int>) -> Task<> { co_return; }(owned), [&](Result<>) { uses = owned.use_count(); });
  run_until([&] { return uses != 0; });
  EXPECT_EQ(uses, 1);
}

TEST_F(EpollLoop, CallbacksStartTheNextOperationWithoutStack) {
  constexpr int count = sanitized ? 20'000 : 300'000;
  struct Chain {
    FdDriver& driver;
    int left;
    void next() {
      if (--left == 0) return;
      driver.start([]() -> Task<> { co_return; }(), [this](Result<>) { next(); });
    }
  } chain{driver_, count};
  chain.next();
  run_until([&] { return driver_.in_flight() == 0; });
  EXPECT_EQ(chain.left, 0);
}

TEST_F(EpollLoop, TheRestOfTheLoopHasItsTurn) {
  bool stop = false;
  driver_.start(
      [](bool& enough) -> Task<> {
        while (!enough) co_await yield();
      }(stop),
      [](Result<>) {});
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(turn(20'000));  // comes back every time
  stop = true;
  run_until([&] { return driver_.in_flight() == 0; });
}

TEST_F(EpollLoop, SleepsWhenIdleAndIsWokenFromAnotherOsThread) {
  Event event;
  bool woken = false;
  driver_.start([](Event& e) -> Task<> { co_await e.wait(); }(event), [&](Result<>) { woken = true; });
  settle();
  const auto before = driver_.dispatches();
  EXPECT_FALSE(turn(20));
  std::jthread other([handle = thread_.handle(), &event] {
    std::this_thread::sleep_for(2ms);
    EXPECT_TRUE(handle.send([&event] { event.set(); }));
  });
  run_until([&] { return woken; });
  EXPECT_LE(driver_.dispatches() - before, 4u);
  settle();
  EXPECT_FALSE(turn(20));
}

TEST_F(EpollLoop, StopTokensAndDeadlines) {
  std::stop_source source;
  std::optional<Error> stopped;
  std::optional<Error> late;
  driver_.start(with_stop_token(source.get_token(), nap(1h)), [&](Result<> result) { stopped = result.error(); });
  driver_.start(with_timeout(1ms, nap(1h)), [&](Result<> result) { late = result.error(); });
  std::jthread([&] { source.request_stop(); }).join();
  run_until([&] { return stopped && late; });
  EXPECT_TRUE(is_cancelled(*stopped));
  EXPECT_EQ(late->code(), std::errc::timed_out);
}

TEST_F(EpollLoop, CloseEndsWhatIsInFlight) {
  int ended = 0;
  for (int i = 0; i < 3; ++i) {
    driver_.start(nap(1h), [&](Result<> result) {
      EXPECT_TRUE(is_cancelled(result.error()));
      ++ended;
    });
  }
  driver_.close();
  EXPECT_EQ(ended, 3);
  driver_.close();
  EXPECT_EQ(error_of([&] { driver_.start(nap(0ns), [](Result<>) {}); }), make_error_code(Misuse::already_closed));
}

TEST_F(EpollLoop, ClosingTheThreadEndsWhatIsInFlight) {
  bool ended = false;
  driver_.start(nap(1h), [&](Result<> result) { ended = is_cancelled(result.error()); });
  thread_.close();
  EXPECT_TRUE(ended);
  EXPECT_EQ(driver_.dispatch(), 0u);
}

TEST_F(EpollLoop, AnExceptionOfACallbackIsLogged) {
  LogCapture log;
  driver_.start(nap(0ns), [](Result<>) { throw std::runtime_error("ouch"); });
  run_until([&] { return driver_.in_flight() == 0; });
  EXPECT_THAT(log.text(), ::testing::HasSubstr("fd_driver_test.cpp"));
  EXPECT_THAT(log.text(), ::testing::HasSubstr("ouch"));
}

TEST_F(EpollLoop, OperationsShowInTheListOfTasks) {
  driver_.start(nap(1h), [](Result<>) {});
  settle();
  const auto tasks = CurrentThread::running_tasks();
  ASSERT_EQ(tasks.size(), 1u);
  EXPECT_THAT(tasks[0].spawned_at, ::testing::HasSubstr("fd_driver_test.cpp"));
  EXPECT_EQ(tasks[0].waiting_on, "sleep_for");
}

TEST_F(EpollLoop, MisuseIsNamed) {
  std::jthread([&] {
    EXPECT_EQ(error_of([&] { driver_.start(nap(0ns), [](Result<>) {}); }), make_error_code(Misuse::wrong_thread));
    EXPECT_EQ(error_of([&] { FdDriver{thread_}; }), make_error_code(Misuse::wrong_thread));
    EXPECT_EQ(error_of([&] { driver_.dispatch(); }), make_error_code(Misuse::wrong_thread));
  }).join();
  EXPECT_EQ(driver_.in_flight(), 0u);
}

TEST(FdDriver, AThreadThatIsDestroyedUnderAnOperationTellsItsCallback) {
  LogCapture log;
  LeaksOnPurpose leaks;
  auto [completer, done] = completion<void>();
  std::optional<Error> error;
  std::optional<FdDriver> driver;
  {
    auto thread = Thread::attach("t");
    driver.emplace(thread);
    driver->start(std::move(done), [&](Result<> result) { error = result.error(); });
    thread.poll();
  }
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), std::errc::no_such_process);
  EXPECT_EQ(error->outcome(), Outcome::may_have_executed);
  EXPECT_EQ(driver->in_flight(), 0u);
}

}  // namespace
}  // namespace spdkio
