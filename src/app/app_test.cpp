#include <spdkio/app/app.hpp>

#include <spdkio/bdev/bdev.hpp>
#include <spdkio/bdev/bdev_desc.hpp>
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/block_on.hpp>
#include <spdkio/runtime/lcore.hpp>
#include <spdkio/runtime/poller.hpp>
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/runtime/stop_token.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include "app/app_test_support.hpp"

namespace spdkio::app {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

template <class F>
Error error_of(F&& fn) {
  try {
    fn();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(Misuse::invalid_argument);
}

/// What `App::run` says on standard error.
template <class F>
std::string standard_error_of(F&& fn) {
  testing::internal::CaptureStderr();
  fn();
  return testing::internal::GetCapturedStderr();
}

Task<> hello() {
  auto disk = co_await BdevDesc::open("Malloc0", Access::read_write);
  auto channel = disk.io_channel();
  DmaBuf buf{4096};
  buf.fill(std::byte{0xAB});
  co_await disk.write(channel, buf, ByteOffset{0});
  buf.fill(std::byte{0});
  co_await disk.read(channel, buf, ByteOffset{0});
  EXPECT_EQ(buf[4095], std::byte{0xAB});
  channel.close();
  co_await disk.close();
}

TEST(App, ReadsAndWritesTheDiskOfItsConfiguration) {
  AppOptions options = test_options();
  options.json_data = malloc_config("Malloc0");
  EXPECT_EQ(App::run(options, hello), 0);
}

TEST(App, RunsManyTimesInOneProcess) {
  AppOptions options = test_options();
  options.json_data = malloc_config("Malloc0");
  for (int i = 0; i < 50; ++i) ASSERT_EQ(App::run(options, hello), 0);
}

Task<int> coroutine_of_int() { co_return 7; }
Task<std::unique_ptr<std::string>> coroutine_of_movable() { co_return std::make_unique<std::string>("moved"); }
int plain_int() { return 9; }
void plain_void() {}

TEST(App, ResultOfMainReachesTheCaller) {
  EXPECT_EQ(App::run(test_options(), coroutine_of_int), 7);
  EXPECT_EQ(App::run(test_options(), plain_int), 9);
  EXPECT_EQ(App::run(test_options(), plain_void), 0);
  EXPECT_EQ(App::run_result(test_options(), coroutine_of_int), 7);
  EXPECT_EQ(*App::run_result(test_options(), coroutine_of_movable), "moved");
  EXPECT_EQ(App::run_result(test_options(), [] { return std::string("plain"); }), "plain");
  App::run_result(test_options(), plain_void);
}

TEST(App, MainMayTakeTheApp) {
  EXPECT_EQ(App::run_result(test_options(), [](App& app) { return app.options().name; }), "test");
  const auto coroutine = [](App& app) -> Task<std::string> { co_return std::string(app.engine().name()); };
  EXPECT_EQ(App::run_result(test_options(), coroutine), "embedded");
}

Task<> failing() {
  co_await sleep_for(1us);
  throw Error(std::errc::no_such_device, "the disk is not there").with_hint("plug it in");
}

TEST(App, ExceptionOfMainReachesTheCaller) {
  const Error error = error_of([] { App::run_result(test_options(), failing); });
  EXPECT_EQ(error.code(), std::errc::no_such_device);
  EXPECT_THROW(App::run_result(test_options(), [] { throw std::runtime_error("plain"); }), std::runtime_error);
}

TEST(App, RunPrintsTheExceptionAndItsHint) {
  int exit_code = 0;
  const std::string text = standard_error_of([&] { exit_code = App::run(test_options(), failing); });
  EXPECT_EQ(exit_code, 1);
  EXPECT_EQ(text, "test: the disk is not there (No such device)\n  hint: plug it in\n");
  const std::string plain =
      standard_error_of([&] { exit_code = App::run(test_options(), [] { throw std::runtime_error("oh"); }); });
  EXPECT_EQ(exit_code, 1);
  EXPECT_EQ(plain, "test: oh\n");
}

TEST(App, CoroutineMainRunsOnTheAppThreadOfTheCallersOsThread) {
  const auto caller = std::this_thread::get_id();
  const auto main = [&](App& app) -> Task<> {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    EXPECT_EQ(CurrentThread::name(), "app_thread");
    EXPECT_EQ(CurrentThread::handle(), app.thread());
    EXPECT_EQ(Cores::current(), Cores::main());
    EXPECT_EQ(&App::current(), &app);
    co_return;
  };
  App::run_result(test_options(), main);
}

TEST(App, PlainMainMayBlock) {
  AppOptions options = test_options();
  options.json_data = malloc_config("Malloc0");
  const auto caller = std::this_thread::get_id();
  App::run_result(options, [&] {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    EXPECT_EQ(CurrentThread::name(), "main");
    block_on(hello());
    // One Thread for the whole main: what one call opens the next may use.
    auto disk = block_on(BdevDesc::open("Malloc0", Access::read_only));
    auto channel = disk.io_channel();
    channel.close();
    block_on(disk.close());
  });
  EXPECT_FALSE(CurrentThread::exists());
}

TEST(App, NothingRunsOutsideRun) {
  EXPECT_EQ(error_of([] { App::current(); }).code(), make_error_code(Misuse::not_started));
  EXPECT_EQ(error_of([] { (void)App::stop_requested(); }).code(), make_error_code(Misuse::not_started));
  App::request_stop();  // does nothing
  EXPECT_EQ(App::run(test_options(), plain_int), 9);
}

TEST(App, SecondOneIsRefusedWhileOneRuns) {
  const Error nested = App::run_result(test_options(), []() -> Error {
    std::optional<Error> error;
    std::thread other([&] { error = error_of([] { App::run_result(test_options(), plain_int); }); });
    other.join();
    return *error;
  });
  EXPECT_EQ(nested.code(), make_error_code(Misuse::already_started));
  const Error on_app_thread = App::run_result(
      test_options(), []() -> Error { return error_of([] { App::run_result(test_options(), plain_int); }); });
  EXPECT_EQ(on_app_thread.code(), make_error_code(Misuse::already_started));
}

TEST(App, IsRefusedBesideAnEnv) {
  const Env env = Env::start(test_env_options());
  EXPECT_EQ(error_of([] { App::run_result(test_options(), plain_int); }).code(),
            make_error_code(Misuse::already_started));
}

TEST(App, OptionsThatCantBeHonouredAreErrors) {
  AppOptions mask = test_options();
  mask.reactor_mask = "[0,1022]";
  EXPECT_THAT(error_of([&] { App::run_result(mask, plain_int); }).what(), HasSubstr("[1022]"));
  AppOptions wait = test_options();
  wait.wait_for_rpc = true;
  EXPECT_THAT(error_of([&] { App::run_result(wait, plain_int); }).what(), HasSubstr("rpc_addr"));
  AppOptions both = test_options();
  both.json_data = "{}";
  both.config_file = "/nowhere";
  EXPECT_THAT(error_of([&] { App::run_result(both, plain_int); }).what(), HasSubstr("json_data"));
}

TEST(App, ReactorsRunOnEveryCoreOfTheMask) {
  AppOptions options = test_options();
  const CpuSet allowed = CpuSet::allowed();
  options.reactor_mask = "0x" + allowed.to_mask_string();
  const auto main = [&]() -> Task<> {
    EXPECT_EQ(Cores::count(), allowed.count());
    for (const CoreId core : Cores::all()) {
      Thread thread = Thread::create("worker", CpuSet{static_cast<unsigned>(core)});
      auto where = [] { return Cores::current(); };
      EXPECT_EQ(co_await thread.handle().call(where), core);
      co_await thread.exit();
    }
  };
  App::run_result(options, main);
}

// ---- the end

Task<> until_stopped(std::atomic<bool>& started) {
  started = true;
  co_await App::stop_requested();
  co_await sleep_for(1us);  // what comes after is not cancelled
}

/// Calls `act` once `started` is true.
template <class F>
std::jthread when(std::atomic<bool>& started, F act) {
  return std::jthread([&started, act] {
    while (!started) std::this_thread::sleep_for(1ms);
    act();
  });
}

TEST(App, MainThatAwaitsTheStopEndsInItsOwnWay) {
  std::atomic<bool> started{false};
  const auto stopper = when(started, [] { App::request_stop(); });
  EXPECT_EQ(App::run(test_options(), [&] { return until_stopped(started); }), 0);
}

Task<int> sleeps_for_ever(std::atomic<bool>& started) {
  started = true;
  co_await sleep_for(24h);
  co_return 5;
}

TEST(App, MainThatDoesNotIsCancelled) {
  std::atomic<bool> started{false};
  const auto stopper = when(started, [] { App::request_stop(); });
  EXPECT_EQ(App::run(test_options(), [&] { return sleeps_for_ever(started); }), 0);

  started = false;
  const auto again = when(started, [] { App::request_stop(); });
  EXPECT_EQ(error_of([&] { App::run_result(test_options(), [&] { return sleeps_for_ever(started); }); }).code(),
            std::errc::operation_canceled);
}

TEST(App, PlainMainThatWaitsForTheStopEndsInItsOwnWay) {
  std::atomic<bool> started{false};
  const auto stopper = when(started, [] { App::request_stop(); });
  EXPECT_EQ(App::run(test_options(),
                     [&] {
                       block_on(until_stopped(started));
                       return 3;
                     }),
            3);
}

TEST(App, TasksOfAPlainMainAreCancelled) {
  std::atomic<bool> started{false};
  const auto stopper = when(started, [] { App::request_stop(); });
  EXPECT_EQ(App::run(test_options(), [&] { return block_on(sleeps_for_ever(started)); }), 0);
}

TEST(App, CancellationThatNobodyAskedForIsAFailure) {
  int exit_code = 0;
  const auto main = []() -> Task<> {
    throw Error(std::errc::operation_canceled, "by itself");
    co_return;
  };
  EXPECT_THAT(standard_error_of([&] { exit_code = App::run(test_options(), main); }), HasSubstr("by itself"));
  EXPECT_EQ(exit_code, 1);
}

TEST(App, StopBeforeMainWasReachedIsSeen) {
  std::atomic<bool> requested{false};
  const auto main = [&]() -> Task<> {
    App::request_stop();
    App::request_stop();
    requested = true;
    co_await App::stop_requested();
    EXPECT_TRUE(App::current().stopping());
    co_await App::stop_requested();
  };
  EXPECT_EQ(App::run(test_options(), main), 0);
  EXPECT_TRUE(requested);
}

class EveryStopSignal : public testing::TestWithParam<int> {};

TEST_P(EveryStopSignal, StopsTheApplicationInOrder) {
  std::atomic<bool> started{false};
  const auto stopper = when(started, [] { ::kill(::getpid(), GetParam()); });
  EXPECT_EQ(App::run(test_options(), [&] { return until_stopped(started); }), 0);
  struct sigaction after{};
  ::sigaction(GetParam(), nullptr, &after);
  EXPECT_EQ(after.sa_handler, SIG_DFL);
}

TEST_P(EveryStopSignal, CancelsAMainThatDoesNotCare) {
  std::atomic<bool> started{false};
  const auto stopper = when(started, [] { ::kill(::getpid(), GetParam()); });
  EXPECT_EQ(App::run(test_options(), [&] { return sleeps_for_ever(started); }), 0);
}

INSTANTIATE_TEST_SUITE_P(All, EveryStopSignal, testing::Values(SIGINT, SIGTERM));

TEST(App, SignalsOfTheHostAreLeftAlone) {
  static std::atomic<int> host_saw{0};
  struct sigaction action{};
  action.sa_handler = [](int) { ++host_saw; };
  struct sigaction before{};
  ::sigaction(SIGTERM, &action, &before);
  AppOptions options = test_options();
  options.handle_signals = false;
  std::atomic<bool> started{false};
  const auto stopper = when(started, [] {
    ::kill(::getpid(), SIGTERM);
    while (host_saw == 0) std::this_thread::sleep_for(1ms);
    App::request_stop();
  });
  EXPECT_EQ(App::run(options, [&] { return until_stopped(started); }), 0);
  EXPECT_EQ(host_saw, 1);

  // With handling on, the host's handler is back afterwards.
  EXPECT_EQ(App::run(test_options(), plain_int), 9);
  struct sigaction now{};
  ::sigaction(SIGTERM, nullptr, &now);
  EXPECT_EQ(now.sa_handler, action.sa_handler);
  ::sigaction(SIGTERM, &before, nullptr);
}

/// Ignores the first request to stop.
Task<> stubborn() {
  for (;;) {
    ::kill(::getpid(), SIGTERM);
    try {
      co_await sleep_for(24h);
    } catch (const Error&) {
    }
  }
}

TEST(AppDeathTest, SecondSignalEndsTheProcessAtOnce) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(App::run(test_options(), stubborn), testing::ExitedWithCode(128 + SIGTERM), "second signal");
}

Task<> writes_for_ever(BdevDesc& disk, std::atomic<bool>& started) {
  auto channel = disk.io_channel();
  DmaBuf buf{4096};
  for (std::uint64_t i = 0;; ++i) {
    co_await disk.write(channel, buf, ByteOffset{(i % 512) * 4096});
    if (i == 1000) started = true;
    if (i % 64 == 0) co_await sleep_for(0ns);
  }
}

Task<> under_load(std::atomic<bool>& started, std::atomic<bool>& cleaned) {
  auto disk = co_await BdevDesc::open("Malloc0", Access::read_write);
  std::optional<Error> failure;
  {
    Scope scope("load");
    for (int i = 0; i < 8; ++i) scope.spawn(writes_for_ever(disk, started));
    try {
      co_await scope.join();
    } catch (const Error& error) {
      failure = error;
    }
  }
  EXPECT_EQ(failure->code(), std::errc::operation_canceled);
  co_await disk.close();
  cleaned = true;
}

TEST(App, SigtermUnderLoadIsClean) {
  CapturedLog log;
  AppOptions options = test_options();
  options.json_data = malloc_config("Malloc0");
  std::atomic<bool> started{false};
  std::atomic<bool> cleaned{false};
  const auto stopper = when(started, [] { ::kill(::getpid(), SIGTERM); });
  EXPECT_EQ(App::run(options, [&] { return under_load(started, cleaned); }), 0);
  EXPECT_TRUE(cleaned);
  EXPECT_EQ(log.text(), "stopping: SIGTERM\n");
}

Task<> background(std::atomic<int>& ended) {
  try {
    co_await sleep_for(24h);
  } catch (const Error&) {
  }
  ++ended;
}

TEST(App, TasksThatMainLeftBehindAreStopped) {
  std::atomic<int> ended{0};
  const auto main = [&]() -> Task<> {
    CurrentThread::spawn(background(ended), "here").detach();
    Thread other = Thread::create("other");
    other.spawn(background(ended), "there").detach();
    co_return;
  };
  EXPECT_EQ(App::run(test_options(), main), 0);
  EXPECT_EQ(ended, 2);
}

Task<> background_io(std::atomic<bool>& ended) {
  auto disk = co_await BdevDesc::open("Malloc0", Access::read_write);
  auto channel = disk.io_channel();
  DmaBuf buf{512};
  const StopToken stop = co_await stop_token();
  while (!stop.stop_requested()) {
    const auto written = co_await as_result(disk.write(channel, buf, ByteOffset{0}));
    if (!written) EXPECT_EQ(written.error().code(), std::errc::operation_canceled) << written.error().what();
    co_await yield();
  }
  channel.close();
  co_await disk.close();
  ended = true;
}

TEST(App, DevicesOutliveTheTasksThatUseThem) {
  CapturedLog log;
  AppOptions options = test_options();
  options.json_data = malloc_config("Malloc0");
  std::atomic<bool> ended{false};
  const auto main = [&]() -> Task<> {
    CurrentThread::spawn(background_io(ended), "io").detach();
    co_await sleep_for(1ms);
  };
  EXPECT_EQ(App::run(options, main), 0);
  EXPECT_EQ(log.text(), "");
}

TEST(App, StopIsHeardOnEveryThread) {
  std::atomic<bool> started{false};
  std::atomic<int> heard{0};
  const auto listen = [&]() -> Task<> {
    started = true;
    co_await App::stop_requested();
    ++heard;
  };
  const auto main = [&]() -> Task<> {
    Thread other = Thread::create("other");
    auto there = other.spawn(listen());
    co_await App::stop_requested();
    co_await std::move(there);
    co_await other.exit();
  };
  const auto stopper = when(started, [] { App::request_stop(); });
  EXPECT_EQ(App::run(test_options(), main), 0);
  EXPECT_EQ(heard, 1);
}

TEST(App, WaitForTheStopCanBeCancelled) {
  const auto main = []() -> Task<> {
    auto waiting = CurrentThread::spawn(App::stop_requested(), "waits");
    co_await sleep_for(1ms);
    waiting.request_stop();
    std::optional<Error> failure;
    try {
      co_await std::move(waiting);
    } catch (const Error& error) {
      failure = error;
    }
    EXPECT_EQ(failure->code(), std::errc::operation_canceled);
    EXPECT_FALSE(App::current().stopping());
  };
  EXPECT_EQ(App::run(test_options(), main), 0);
}

TEST(App, IdleApplicationSleeps) {
  const auto main = []() -> Task<> {
    co_await sleep_for(50ms);
    const auto before = detail::ThreadCore::current()->stats().polls;
    co_await sleep_for(500ms);
    const auto polls = detail::ThreadCore::current()->stats().polls - before;
    // A spinning reactor makes millions; this one wakes for its timer and spins for 50 microseconds.
    EXPECT_LT(polls, 50'000u);
  };
  EXPECT_EQ(App::run(test_options(), main), 0);
}

}  // namespace
}  // namespace spdkio::app
