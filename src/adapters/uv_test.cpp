// UvDriver: callbacks, what keeps the loop alive, and the life of its handle.
#include <spdkio/adapters/uv.hpp>
#include <spdkio/runtime/event.hpp>

#include <optional>

#include "adapters/test_tasks.hpp"
#include "runtime/test_support.hpp"

namespace spdkio {
namespace {

using namespace adapters_test;
using namespace runtime_test;

class UvLoop : public ::testing::Test {
 public:
  void SetUp() override {
    ASSERT_EQ(uv_loop_init(&loop_), 0);
    driver_.emplace(&loop_, thread_);
  }
  void TearDown() override {
    driver_.reset();
    uv_run(&loop_, UV_RUN_DEFAULT);
    EXPECT_EQ(uv_loop_close(&loop_), 0) << "a handle was left open";
  }

  uv_loop_t loop_;
  Thread thread_ = Thread::attach("storage");
  std::optional<UvDriver> driver_;
};

TEST_F(UvLoop, RunsWhileOperationsAreInFlight) {
  int value = 0;
  std::optional<Error> failure;
  driver_->start(answer(42), [&](Result<int> result) {
    value = *result;
    driver_->start(
        []() -> Task<> {
          co_await sleep_for(1ms);
          Error error(std::errc::io_error);
          throw std::move(error).with_device("disk0");
        }(),
        [&](Result<> ended) { failure = ended.error(); });
  });
  EXPECT_EQ(uv_run(&loop_, UV_RUN_DEFAULT), 0);
  EXPECT_EQ(value, 42);
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->device(), "disk0");
  driver_->start(answer(1), [&](Result<int> result) { value = *result; });
  uv_run(&loop_, UV_RUN_DEFAULT);
  EXPECT_EQ(value, 1);
}

TEST_F(UvLoop, OtherTasksDoNotKeepTheLoop) {
  auto background = thread_.spawn(nap(1h));
  EXPECT_EQ(uv_run(&loop_, UV_RUN_DEFAULT), 0);
  EXPECT_FALSE(background.done());
  background.detach();
  LogCapture log;
  thread_.close();
}

TEST_F(UvLoop, SleepsWhenIdleAndIsWokenFromAnotherOsThread) {
  Event event;
  bool woken = false;
  driver_->start([](Event& e) -> Task<> { co_await e.wait(); }(event), [&](Result<>) { woken = true; });
  uv_timer_t idle;
  uv_timer_init(&loop_, &idle);
  uv_timer_start(&idle, [](uv_timer_t* timer) { uv_stop(timer->loop); }, 10, 0);
  uv_run(&loop_, UV_RUN_DEFAULT);  // what there was to do at first
  const auto before = driver_->dispatches();
  uv_timer_start(&idle, [](uv_timer_t* timer) { uv_stop(timer->loop); }, 50, 0);
  uv_run(&loop_, UV_RUN_DEFAULT);
  EXPECT_EQ(driver_->dispatches(), before);
  std::jthread other([handle = thread_.handle(), &event] {
    std::this_thread::sleep_for(2ms);
    EXPECT_TRUE(handle.send([&event] { event.set(); }));
  });
  uv_run(&loop_, UV_RUN_DEFAULT);
  EXPECT_TRUE(woken);
  EXPECT_LE(driver_->dispatches() - before, 4u);
  uv_close(reinterpret_cast<uv_handle_t*>(&idle), nullptr);
  uv_run(&loop_, UV_RUN_DEFAULT);
}

TEST_F(UvLoop, CloseEndsWhatIsInFlight) {
  bool ended = false;
  driver_->start(nap(1h), [&](Result<> result) { ended = is_cancelled(result.error()); });
  uv_run(&loop_, UV_RUN_NOWAIT);
  driver_->close();
  EXPECT_TRUE(ended);
  driver_->close();
  EXPECT_EQ(error_of([&] { driver_->start(nap(0ns), [](Result<>) {}); }), make_error_code(Misuse::already_closed));
  EXPECT_EQ(uv_run(&loop_, UV_RUN_DEFAULT), 0);
}

TEST_F(UvLoop, DestroyedFromACallbackOfTheLoop) {
  driver_->start(nap(1h), [](Result<>) {});
  uv_timer_t timer;
  uv_timer_init(&loop_, &timer);
  timer.data = this;
  uv_timer_start(
      &timer,
      [](uv_timer_t* fired) {
        static_cast<UvLoop*>(fired->data)->driver_.reset();
        uv_close(reinterpret_cast<uv_handle_t*>(fired), nullptr);
      },
      1, 0);
  EXPECT_EQ(uv_run(&loop_, UV_RUN_DEFAULT), 0);
  EXPECT_FALSE(driver_);
}

TEST_F(UvLoop, TwoLoopsOnTwoOsThreads) {
  std::jthread([] {
    uv_loop_t loop;
    ASSERT_EQ(uv_loop_init(&loop), 0);
    {
      auto thread = Thread::attach("another");
      int value = 0;
      {
        UvDriver driver(&loop, thread);
        driver.start(answer(2), [&](Result<int> result) { value = *result; });
        uv_run(&loop, UV_RUN_DEFAULT);
      }
      EXPECT_EQ(value, 2);
      thread.close();
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    EXPECT_EQ(uv_loop_close(&loop), 0);
  }).join();
}

}  // namespace
}  // namespace spdkio
