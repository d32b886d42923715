// AsioDriver and to_asio: completion tokens, cancellation slots, work, and sleep.
#include <spdkio/adapters/asio.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/completion.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/semaphore.hpp>

#include <atomic>
#include <future>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#if defined(SPDKIO_BOOST_ASIO)
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>
#else
#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/experimental/awaitable_operators.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_future.hpp>
#include <asio/version.hpp>
#if ASIO_VERSION >= 102400
#include <asio/as_tuple.hpp>
#include <asio/deferred.hpp>
#else
#include <asio/experimental/as_tuple.hpp>
#include <asio/experimental/deferred.hpp>
#endif
#endif

#include "adapters/test_tasks.hpp"
#include "runtime/test_support.hpp"

namespace spdkio {
namespace {

using namespace adapters_test;
using namespace runtime_test;
namespace net = asio_adapter::net;
#if defined(SPDKIO_BOOST_ASIO) || ASIO_VERSION >= 102400
using net::as_tuple_t;
using net::deferred;
#else
using net::experimental::as_tuple_t;
using net::experimental::deferred;
#endif

class AsioAdapter : public ::testing::Test {
 protected:
  /// Runs the coroutine function `body` to its end, with what else the io_context has to do.
  template <class F>
  void run(F body) {
    std::exception_ptr failure;
    bool ended = false;
    net::co_spawn(io, body(), [&](std::exception_ptr result) {
      failure = std::move(result);
      ended = true;
    });
    io.run();
    io.restart();
    if (failure) std::rethrow_exception(failure);
    ASSERT_TRUE(ended);
  }

  net::io_context io;
  Thread storage = Thread::attach("storage");
  AsioDriver driver{io, storage};
};

Task<> fail() {
  co_await sleep_for(100us);
  Error error(std::errc::io_error, "the disk is on fire");
  throw std::move(error).with_device("disk0").with_operation("read");
}

class NoDefault {
 public:
  explicit NoDefault(std::string text) : text_(std::move(text)) {}
  NoDefault(NoDefault&&) = default;
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};
Task<NoDefault> make_no_default() {
  co_await sleep_for(0ns);
  co_return NoDefault("made of nothing but text, and longer than a small string");
}

TEST_F(AsioAdapter, ACoroutineAwaitsValues) {
  run([&]() -> net::awaitable<void> {
    EXPECT_EQ(co_await to_asio(answer(42)), 42);
    co_await to_asio(sleep_for(0ns));
    const NoDefault made = co_await to_asio(make_no_default());
    EXPECT_EQ(made.text().size(), 56u);
    EXPECT_EQ(co_await to_asio(storage.spawn(answer(7))), 7);
  });
  EXPECT_EQ(driver.in_flight(), 0u);
}

TEST_F(AsioAdapter, ACoroutineCatchesTheWholeError) {
  run([&]() -> net::awaitable<void> {
    std::optional<Error> caught;
    try {
      co_await to_asio(fail());
    } catch (const Error& error) {
      caught = error;
    }
    EXPECT_TRUE(caught);
    if (!caught) co_return;
    EXPECT_EQ(caught->device(), "disk0");
    EXPECT_EQ(caught->operation(), "read");
    EXPECT_EQ(caught->code(), std::errc::io_error);
    const Result<> as_value = co_await to_asio(as_result(fail()));
    EXPECT_FALSE(as_value);
    if (!as_value) EXPECT_EQ(as_value.error().device(), "disk0");
  });
}

TEST_F(AsioAdapter, CallbacksAreCalledLaterAndOutsideOfTheThread) {
  int value = 0;
  bool inside = true;
  bool failed = false;
  to_asio(answer(5), [&](std::exception_ptr failure, int result) {
    EXPECT_FALSE(failure);
    value = result;
    inside = detail::ThreadCore::current()->polling();
    EXPECT_EQ(block_on(answer(6)), 6);  // refused inside a task
  });
  to_asio(fail(), [&](std::exception_ptr failure) { failed = detail::error_from(failure).device() == "disk0"; });
  EXPECT_EQ(driver.in_flight(), 2u);
  EXPECT_EQ(value, 0);
  io.run();
  EXPECT_EQ(value, 5);
  EXPECT_FALSE(inside);
  EXPECT_TRUE(failed);
}

TEST_F(AsioAdapter, FuturesAndDeferredOperations) {
  auto future = to_asio(answer(3), net::use_future);
  auto failing = to_asio(fail(), net::use_future);
  auto later = to_asio(answer(4), deferred);
  int from_later = 0;
  std::move(later)([&](std::exception_ptr, int result) { from_later = result; });
  io.run();
  EXPECT_EQ(future.get(), 3);
  EXPECT_EQ(from_later, 4);
  try {
    failing.get();
    ADD_FAILURE() << "no exception";
  } catch (const Error& error) {
    EXPECT_EQ(error.device(), "disk0");
  }
}

TEST_F(AsioAdapter, ErrorCodesAreAsiosOwn) {
  run([&]() -> net::awaitable<void> {
    asio_adapter::error_code code;
    co_await to_asio_with_code(fail(), net::redirect_error(net::use_awaitable, code));
    EXPECT_EQ(code, asio_adapter::error_code(EIO, net::error::get_system_category()));
    EXPECT_EQ(co_await to_asio_with_code(answer(2), net::redirect_error(net::use_awaitable, code)), 2);
    EXPECT_FALSE(code);
    const auto [misuse, nothing] = co_await to_asio_with_code(
        []() -> Task<int> {
          co_await yield();
          throw Error(Misuse::misaligned);
        }(),
        as_tuple_t<net::use_awaitable_t<>>{});
    EXPECT_EQ(std::error_code(misuse), make_error_code(Misuse::misaligned));
    EXPECT_EQ(nothing, 0);
  });
}

TEST_F(AsioAdapter, ACancellationSlotIsAStopRequest) {
  net::cancellation_signal signal;
  std::optional<Error> error;
  to_asio(nap(1h), net::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr failure) {
            if (failure) error = detail::error_from(failure);
          }));
  net::steady_timer timer(io, 1ms);
  timer.async_wait([&](auto) {
    signal.emit(net::cancellation_type::total);  // nobody can promise that
    EXPECT_EQ(driver.in_flight(), 1u);
    signal.emit(net::cancellation_type::terminal);
  });
  io.run();
  ASSERT_TRUE(error);
  EXPECT_TRUE(is_cancelled(*error));
  signal.emit(net::cancellation_type::terminal);  // after its end: nothing hears it
}

TEST_F(AsioAdapter, CancelledWithCodesComparesEqualToAsiosOwn) {
  net::cancellation_signal signal;
  asio_adapter::error_code code;
  to_asio_with_code(nap(1h), net::bind_cancellation_slot(signal.slot(), [&](auto result) { code = result; }));
  net::post(io, [&] { signal.emit(net::cancellation_type::partial); });
  io.run();
  EXPECT_EQ(code, net::error::operation_aborted);
}

TEST_F(AsioAdapter, AWaitThatDoesNotStopIsAwaitedToItsRealEnd) {
  auto [completer, done] = completion<int>();
  net::cancellation_signal signal;
  int value = 0;
  to_asio(std::move(done), net::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr failure, int result) {
            EXPECT_FALSE(failure);
            value = result;
          }));
  net::steady_timer timer(io, 1ms);
  timer.async_wait([&](auto) { signal.emit(net::cancellation_type::terminal); });
  net::steady_timer later(io, 5ms);
  later.async_wait([&](auto) {
    EXPECT_EQ(driver.in_flight(), 1u);
    completer.set_value(9);
  });
  io.run();
  EXPECT_EQ(value, 9);
}

TEST_F(AsioAdapter, AwaitableOperatorsCancelTheLoser) {
  using namespace net::experimental::awaitable_operators;
  run([&]() -> net::awaitable<void> {
    const auto first = co_await (to_asio(answer(1)) || to_asio(nap(1h)));
    EXPECT_EQ(first.index(), 0u);
    net::steady_timer deadline(io, 1ms);
    const auto second = co_await (to_asio(nap(1h)) || deadline.async_wait(net::use_awaitable));
    EXPECT_EQ(second.index(), 1u);
    const auto [a, b] = co_await (to_asio(answer(2)) && to_asio(answer(3)));
    EXPECT_EQ(a + b, 5);
  });
  EXPECT_EQ(driver.in_flight(), 0u);
}

TEST_F(AsioAdapter, RunReturnsWithoutOperationsAndGoesOnLater) {
  // Background work of the Thread runs along without keeping the loop.
  int rounds = 0;
  auto background = storage.spawn([](int& count) -> Task<> {
    for (;; ++count) co_await sleep_for(100us);
  }(rounds));
  EXPECT_LE(io.run(), 3u);
  io.restart();
  for (int i = 0; i < 3; ++i) {
    bool ended = false;
    const int before = rounds;
    to_asio(nap(5ms), [&](std::exception_ptr) { ended = true; });
    io.run();
    io.restart();
    EXPECT_TRUE(ended);
    EXPECT_GT(rounds, before);
  }
  background.request_stop();
  io.run();
  storage.close();
  EXPECT_TRUE(background.done());
}

TEST_F(AsioAdapter, WorkOfTheLoopAloneKeepsTheThreadPolled) {
  auto task = storage.spawn(answer(1));
  auto guard = net::make_work_guard(io);
  while (!task.done()) io.run_one();
  EXPECT_EQ(task.wait(), 1);
}

TEST_F(AsioAdapter, SleepsWhenIdleAndIsWokenFromAnotherOsThread) {
  Event event;
  bool woken = false;
  to_asio(event.wait(), [&](std::exception_ptr) { woken = true; });
  io.run_for(10ms);  // what there was to do at first
  const auto before = driver.dispatches();
  const std::size_t handlers = io.run_for(50ms);
  EXPECT_EQ(handlers, 0u);
  EXPECT_EQ(driver.dispatches(), before);
  std::jthread other([handle = storage.handle(), &event] {
    std::this_thread::sleep_for(2ms);
    EXPECT_TRUE(handle.send([&event] { event.set(); }));
  });
  io.run();
  EXPECT_TRUE(woken);
  EXPECT_LE(driver.dispatches() - before, 4u);
}

TEST_F(AsioAdapter, HandlersRunOnTheirOwnExecutor) {
  net::thread_pool pool(1);
  std::atomic<bool> elsewhere = false;
  to_asio(nap(1ms), net::bind_executor(pool.get_executor(), [&, here = std::this_thread::get_id()](std::exception_ptr) {
            elsewhere = std::this_thread::get_id() != here;
          }));
  io.run();
  pool.join();
  EXPECT_TRUE(elsewhere);
}

TEST_F(AsioAdapter, CloseWaitsForTheRealEnd) {
  int ended = 0;
  for (int i = 0; i < 3; ++i) {
    to_asio(nap(1h), [&](std::exception_ptr failure) {
      EXPECT_TRUE(failure);
      ++ended;
    });
  }
  driver.close();
  EXPECT_EQ(driver.in_flight(), 0u);
  EXPECT_EQ(ended, 0);
  EXPECT_EQ(error_of([&] { to_asio(nap(0ns), [](std::exception_ptr) {}); }), make_error_code(Misuse::not_started));
  io.run();
  EXPECT_EQ(ended, 3);
}

TEST_F(AsioAdapter, CoroutinesDestroyedWithTheContextLeaveNothingInFlight) {
  auto owned = std::make_shared<int>(1);
  {
    net::io_context short_lived;
    driver.close();
    AsioDriver other(short_lived, storage);
    net::co_spawn(
        short_lived,
        [](std::shared_ptr<int> kept) -> net::awaitable<void> {
          co_await to_asio(nap(1h));
          ++*kept;
        }(owned),
        net::detached);
    short_lived.poll();
    EXPECT_EQ(other.in_flight(), 1u);
    EXPECT_EQ(owned.use_count(), 2);
  }
  EXPECT_EQ(owned.use_count(), 1);
  EXPECT_EQ(*owned, 1);
}

TEST_F(AsioAdapter, ThreadMayBeClosedBeforeTheDriver) {
  bool ended = false;
  to_asio(nap(1h), [&](std::exception_ptr failure) { ended = static_cast<bool>(failure); });
  storage.close();
  io.run();
  EXPECT_TRUE(ended);
}

TEST_F(AsioAdapter, MisuseIsNamed) {
  EXPECT_EQ(error_of([&] { AsioDriver(io, storage); }), make_error_code(Misuse::already_started));
  auto task = storage.spawn(answer(1));
  std::jthread([&] {
    EXPECT_EQ(error_of([&] { to_asio(nap(0ns), [](std::exception_ptr) {}); }), make_error_code(Misuse::wrong_thread));
    net::io_context mine;
    EXPECT_EQ(error_of([&] { AsioDriver(mine, storage); }), make_error_code(Misuse::wrong_thread));
    auto thread = Thread::attach("without a driver");
    EXPECT_EQ(error_of([&] { to_asio(nap(0ns), [](std::exception_ptr) {}); }), make_error_code(Misuse::not_started));
    thread.close();
    EXPECT_EQ(error_of([&] {
                auto work = net::make_work_guard(io);
                for (;;) io.run_one();
              }),
              make_error_code(Misuse::wrong_thread));
  }).join();
  driver.close();
  EXPECT_EQ(
      block_on([](JoinHandle<int> joined) -> Task<int> { co_return co_await std::move(joined); }(std::move(task))), 1);
}

TEST_F(AsioAdapter, AHundredThousandOperationsInARow) {
  constexpr int count = sanitized ? 5'000 : 100'000;
  Semaphore free(1);
  run([&]() -> net::awaitable<void> {
    for (int i = 0; i < count; ++i) {
      const auto permit = co_await to_asio(free.acquire());
      EXPECT_EQ(free.available(), 0u);
    }
  });
}

}  // namespace
}  // namespace spdkio
