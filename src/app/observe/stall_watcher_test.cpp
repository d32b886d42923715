#include "app/observe/stall_watcher.hpp"

#include <spdkio/runtime/poller.hpp>
#include <spdkio/runtime/thread.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "runtime/test_support.hpp"

namespace spdkio::app {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

/// As if one Thread were on a reactor.
class OneReactor final : public engine::ReactorService {
 public:
  explicit OneReactor(ThreadHandle thread) : thread_(std::move(thread)) {}
  void run() override {}
  void request_stop() noexcept override {}
  std::vector<engine::ReactorInfo> info() const override {
    engine::ReactorInfo info;
    info.threads.push_back(thread_);
    return {info};
  }
  PollMode poll_mode() const noexcept override { return PollMode::adaptive; }
  void set_poll_mode(PollMode) override {}

 private:
  ThreadHandle thread_;
};

class StallWatcherTest : public testing::Test {
 protected:
  std::vector<detail::StallCount> stalls() {
    return thread_.handle()
        .spawn([]() -> Task<std::vector<detail::StallCount>> { co_return detail::ThreadCore::current()->stalls(); }())
        .wait();
  }
  void wait_for_log(const std::string& part) const {
    while (log_.text().find(part) == std::string::npos) std::this_thread::sleep_for(1ms);
  }

  runtime_test::LogCapture log_;
  runtime_test::OsThread thread_{"held"};
  OneReactor reactors_{thread_.handle()};
};

Task<> hold(std::atomic<bool>& go_on) {
  while (!go_on) std::this_thread::sleep_for(1ms);  // what a task must not do
  co_return;
}

TEST_F(StallWatcherTest, ATaskIsNamedWhileItRunsAndCountedWhenItHasEnded) {
  const StallWatcher watcher(reactors_, 2ms);
  std::atomic<bool> go_on = false;
  auto task = thread_.handle().spawn(hold(go_on));
  wait_for_log("thread 'held' has been held for ");
  go_on = true;
  task.wait();
  wait_for_log("thread 'held' was held for ");
  bool named = false;
  for (const auto& stall : stalls()) {
    if (stall.what.find("stall_watcher_test.cpp:") == std::string::npos) continue;
    named = true;
    EXPECT_GE(stall.count, 1u);
    EXPECT_GT(stall.longest_ticks, 0u);
  }
  EXPECT_TRUE(named) << log_.text();
}

TEST_F(StallWatcherTest, APollerIsCalledByItsName) {
  const StallWatcher watcher(reactors_, 2ms);
  auto poller = std::make_shared<std::unique_ptr<Poller>>();
  auto task = thread_.handle().spawn([](std::shared_ptr<std::unique_ptr<Poller>> kept) -> Task<> {
    *kept = std::make_unique<Poller>(
        [] {
          std::this_thread::sleep_for(20ms);
          return PollResult::idle;
        },
        PollerOptions{.name = "slow one"});
    co_return;
  }(poller));
  task.wait();
  wait_for_log("poller 'slow one'");
  thread_.handle()
      .spawn([](std::shared_ptr<std::unique_ptr<Poller>> kept) -> Task<> {
        kept->reset();
        co_return;
      }(poller))
      .wait();
  EXPECT_THAT(log_.text(), HasSubstr("thread 'held' was held for "));
}

TEST_F(StallWatcherTest, NobodyWatchesNothingIsCounted) {
  thread_.handle()
      .spawn([]() -> Task<> {
        std::this_thread::sleep_for(5ms);
        co_return;
      }())
      .wait();
  EXPECT_TRUE(stalls().empty());
}

}  // namespace
}  // namespace spdkio::app
