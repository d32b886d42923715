#include <spdkio/bdev/coroutine_device.hpp>

#include <spdkio/base/log.hpp>
#include <spdkio/bdev/device_state.hpp>
#include <spdkio/bdev/io_channel.hpp>
#include <spdkio/runtime/block_on.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/sleep.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <functional>
#include <stdexcept>

#include "bdev/registry.hpp"

namespace spdkio::bdev {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

struct Counted final : DeviceThreadState {
  explicit Counted(int& alive) : alive_(alive) { ++alive_; }
  ~Counted() override { --alive_; }
  int requests = 0;

 private:
  int& alive_;
};

using Serve = std::function<Task<>(IoRequest&)>;

class TestDevice final : public CoroutineDevice {
 public:
  TestDevice(Serve serve, int& alive)
      : CoroutineDevice("Disk", "Test", {.block_size = 512, .num_blocks = 100}, {IoType::flush, IoType::unmap}),
        serve_(std::move(serve)),
        alive_(alive) {}
  Task<> serve(IoRequest& io) override { return serve_(io); }
  std::unique_ptr<DeviceThreadState> make_thread_state() override { return std::make_unique<Counted>(alive_); }

 private:
  Serve serve_;
  int& alive_;
};

class Request final : public Io {
 public:
  explicit Request(IoType which) {
    type = which;
    set_on_complete([](Io& io) noexcept { static_cast<Request&>(io).done = true; });
  }
  bool done = false;
};

class CoroutineDeviceTest : public ::testing::Test {
 protected:
  void TearDown() override {
    channel_.close();
    block_on(registry_.unregister_all());
    state_ = nullptr;
    EXPECT_EQ(alive_, 0);
    thread_.close();
  }
  void start(Serve serve) {
    state_ = block_on(registry_.register_device(std::make_unique<TestDevice>(std::move(serve), alive_)));
    channel_ = IoChannel{state_->acquire_slot()};
  }
  IoStatus run(IoType type = IoType::flush) {
    Request request(type);
    channel_.slot()->submit(request);
    thread_.run_until([&] { return request.done; });
    return request.status();
  }

  Thread thread_ = Thread::attach("coroutine");
  int alive_ = 0;
  Registry registry_;
  std::shared_ptr<DeviceState> state_;
  IoChannel channel_;
};

TEST_F(CoroutineDeviceTest, SupportsWhatItWasMadeWith) {
  start([](IoRequest&) -> Task<> { co_return; });
  EXPECT_TRUE(state_->supports(IoType::flush));
  EXPECT_TRUE(state_->supports(IoType::unmap));
  EXPECT_FALSE(state_->supports(IoType::read));
}

TEST_F(CoroutineDeviceTest, EndsAtOnceOrLater) {
  start([](IoRequest& io) -> Task<> {
    ++io.thread_state<Counted>().requests;
    if (io.type() == IoType::unmap) co_await sleep_for(1ms);
    io.set_result(static_cast<std::uint64_t>(io.thread_state<Counted>().requests));
  });
  EXPECT_TRUE(run(IoType::flush).ok());
  EXPECT_TRUE(run(IoType::unmap).ok());
  EXPECT_EQ(alive_, 1) << "one state for all requests of the Thread";
}

TEST_F(CoroutineDeviceTest, ZoneRequestsComeWithTheirParts) {
  start([](IoRequest& io) -> Task<> {
    if (io.type() == IoType::zone_report) {
      EXPECT_EQ(io.zones().size(), 2u);
      io.zones()[1].zone = io.range();
      io.set_result(2);
    } else {
      EXPECT_EQ(io.zone_action(), ZoneAction::finish);
      EXPECT_TRUE(io.zones().empty());
    }
    co_return;
  });
  std::array<ZoneInfo, 2> zones{};
  Request report(IoType::zone_report);
  report.lba = 7;
  report.zones = zones.data();
  report.zone_count = zones.size();
  channel_.slot()->submit(report);
  thread_.run_until([&] { return report.done; });
  EXPECT_TRUE(report.status().ok());
  EXPECT_EQ(report.result, 2u);
  EXPECT_EQ(zones[1].zone.first, Lba{7});
  Request finish(IoType::zone_management);
  finish.zone_action = ZoneAction::finish;
  channel_.slot()->submit(finish);
  thread_.run_until([&] { return finish.done; });
  EXPECT_TRUE(finish.status().ok());
}

TEST_F(CoroutineDeviceTest, ExceptionsBecomeTheStatus) {
  std::function<void()> failure;
  std::string logged;
  log::set_sink([&](log::Level, std::string_view text) { logged += text; });
  start([&](IoRequest&) -> Task<> {
    failure();
    co_return;
  });
  const auto status_of = [&](std::function<void()> action) {
    failure = std::move(action);
    return run();
  };
  EXPECT_EQ(status_of([] { throw Error(std::errc::no_space_on_device); }), IoStatus::system(ENOSPC));
  EXPECT_EQ(status_of([] { throw Error(nvme_sc::write_fault); }), IoStatus::nvme(nvme_sc::write_fault));
  EXPECT_EQ(status_of([] { throw Error(Misuse::not_supported); }), IoStatus::misuse(Misuse::not_supported));
  EXPECT_TRUE(logged.empty()) << logged;
  EXPECT_EQ(status_of([] { throw Error(Misuse::out_of_range, "of the base"); }), IoStatus::system(EIO));
  EXPECT_THAT(logged, HasSubstr("of the base"));
  EXPECT_EQ(status_of([] { throw std::runtime_error("something else"); }), IoStatus::system(EIO));
  EXPECT_THAT(logged, HasSubstr("something else"));
  log::set_sink({});
}

TEST_F(CoroutineDeviceTest, AStopReachesTheCoroutine) {
  start([](IoRequest&) -> Task<> { co_await sleep_for(1h); });
  for (const IoType type : {IoType::flush, IoType::unmap}) {
    Request request(type);
    channel_.slot()->submit(request);
    EXPECT_FALSE(request.done);
    channel_.slot()->abort(request);
    thread_.run_until([&] { return request.done; });
    const Outcome outcome = type == IoType::unmap ? Outcome::may_have_executed : Outcome::aborted;
    EXPECT_EQ(request.status(), IoStatus::cancelled(outcome));
  }
}

TEST_F(CoroutineDeviceTest, ACoroutineMayEndWellInSpiteOfAStop) {
  start([](IoRequest&) -> Task<> {
    try {
      co_await sleep_for(1h);
    } catch (const Error&) {
    }
  });
  Request request(IoType::unmap);
  channel_.slot()->submit(request);
  channel_.slot()->abort(request);
  thread_.run_until([&] { return request.done; });
  EXPECT_TRUE(request.status().ok());
}

TEST_F(CoroutineDeviceTest, ARemovalStopsWhatWaits) {
  start([](IoRequest&) -> Task<> { co_await sleep_for(1h); });
  std::vector<std::unique_ptr<Request>> requests;
  for (int i = 0; i < 20; ++i) {
    requests.push_back(std::make_unique<Request>(IoType::flush));
    channel_.slot()->submit(*requests.back());
  }
  block_on(registry_.unregister_device("Disk"));
  for (const auto& request : requests) {
    EXPECT_TRUE(request->done);
    EXPECT_EQ(request->status(), IoStatus::system(ENODEV, Outcome::aborted));
  }
}

}  // namespace
}  // namespace spdkio::bdev
