#include "nvme/pcie/pcie_transport.hpp"

#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/spec/opcodes.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "nvme/pcie/transport_fixture.hpp"

namespace spdkio::nvme::pcie {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class PcieTransportLossTest : public PcieTransportTest {
 protected:
  struct Read {
    DmaBuf buf{512};
    std::vector<DmaSpan> spans{buf.span()};
    Waited request;
  };
  static void prepare_read(Read& read) { prepare(read.request, spec::NvmOpcode::read, 0, read.spans); }
  /// Sends `read`, which the controller keeps.
  Task<> send_and_hold(Read& read) {
    controller_->hold_io = true;
    prepare_read(read);
    EXPECT_TRUE(io_queue_->submit(read.request));
    while (controller_->held.empty()) co_await yield();
  }
  /// Why it does not start.
  Task<std::optional<Error>> start_refused() {
    auto starting = start();
    const auto started = co_await as_result(std::move(starting));
    EXPECT_FALSE(started.has_value());
    if (started.has_value()) co_return std::nullopt;
    co_return started.error();
  }
};

TEST_F(PcieTransportLossTest, StoppingAnswersWhatTheControllerGivesBack) {
  make({});
  run([&]() -> Task<> {
    co_await start();
    Read read;
    auto sending = send_and_hold(read);
    co_await std::move(sending);
    auto stopping = io_queue_->stop(true);
    co_await std::move(stopping);
    EXPECT_TRUE(read.request.done.is_set());
    EXPECT_EQ(read.request.end, RequestEnd::answered);
    EXPECT_EQ(read.request.completion.status().sc, 0x08) << "aborted because its queue was deleted";
    EXPECT_TRUE(controller_->bus_master) << "the others go on";
    io_queue_.reset();
    co_await finish();
  });
}

TEST_F(PcieTransportLossTest, StoppingHardTakesTheDeviceOffTheMemoryFirst) {
  make({});
  run([&]() -> Task<> {
    co_await start();
    Read sent;
    Read unsent;
    prepare_read(unsent);
    auto sending = send_and_hold(sent);
    co_await std::move(sending);
    auto stopping = io_queue_->stop(false);
    co_await std::move(stopping);
    EXPECT_FALSE(controller_->bus_master);
    EXPECT_EQ(sent.request.end, RequestEnd::lost);
    EXPECT_EQ(sent.request.outcome, Outcome::may_have_executed);
    EXPECT_FALSE(io_queue_->submit(unsent.request));
    // The other queues hear of it.
    while (admin_events_.failures == 0) co_await yield();
    io_queue_.reset();
    co_await finish(false);
  });
}

TEST_F(PcieTransportLossTest, OpensAgainAfterALoss) {
  make({.shadow_doorbells = true});
  run([&]() -> Task<> {
    for (int round = 0; round < 3; ++round) {
      admin_events_ = {};
      io_events_ = {};
      co_await start();
      DmaBuf buf(4096);
      co_await transfer(spec::NvmOpcode::write, 0, buf.span());
      co_await finish(round == 2);
    }
  });
}

TEST_F(PcieTransportLossTest, ADeviceThatDisappearsFailsItsQueues) {
  make({});
  run([&]() -> Task<> {
    co_await start();
    Read held;
    auto sending = send_and_hold(held);
    co_await std::move(sending);
    controller_->disappear();
    while (io_events_.failures == 0 || admin_events_.failures == 0) co_await sleep_for(1ms);
    EXPECT_EQ(io_events_.why->code(), std::errc::no_such_device);
    EXPECT_FALSE(held.request.done.is_set()) << "its buffer is the device's until the queue was stopped";
    auto reading = transport_->get_property(spec::Property::csts, 4);
    const auto read = co_await as_result(std::move(reading));
    EXPECT_FALSE(read.has_value());
    co_await finish(false);
    EXPECT_EQ(held.request.end, RequestEnd::lost);
    EXPECT_EQ(io_events_.failures, 1);
  });
}

TEST_F(PcieTransportLossTest, ADeviceThatIsAskedBackFailsItsQueues) {
  make({});
  run([&]() -> Task<> {
    co_await start();
    controller_->removal_requested = true;
    while (io_events_.failures == 0 || admin_events_.failures == 0) co_await sleep_for(1ms);
    EXPECT_THAT(io_events_.why->what(), HasSubstr("removed"));
    co_await finish(false);
  });
}

TEST_F(PcieTransportLossTest, AFatalStatusFailsItsQueues) {
  make({});
  run([&]() -> Task<> {
    co_await start();
    controller_->set_register32(spec::Property::csts, 3);
    while (io_events_.failures == 0) co_await sleep_for(1ms);
    EXPECT_THAT(io_events_.why->what(), HasSubstr("fatal"));
    co_await finish(false);
  });
}

TEST_F(PcieTransportLossTest, StrayCompletionsFailTheQueue) {
  for (const std::uint16_t cid : {std::uint16_t{3}, std::uint16_t{7}, std::uint16_t{0xFFFF}}) {
    make({});
    io_events_ = {};
    admin_events_ = {};
    run([&]() -> Task<> {
      co_await start();
      controller_->post_stray_completion(1, cid);
      while (io_events_.failures == 0) co_await yield();
      EXPECT_EQ(io_events_.why->code(), std::errc::protocol_error);
      co_await finish(false);
    });
  }
}

TEST_F(PcieTransportLossTest, QueuesThatAreRefusedLeaveNothing) {
  make({.refuse_queues = true});
  run([&]() -> Task<> {
    auto starting = start_refused();
    const auto why = co_await std::move(starting);
    if (!why) co_return;
    EXPECT_TRUE(why->nvme_status().has_value());
    EXPECT_TRUE(controller_->bus_master) << "the admin queue goes on";
    co_await finish();
  });
}

TEST_F(PcieTransportLossTest, OneThatNeverGetsReadyIsGivenUp) {
  make({.never_ready = true});
  controller_->set_register32(spec::Property::csts, 1);
  run([&]() -> Task<> {
    auto starting = start_refused();
    const auto why = co_await std::move(starting);
    if (why) {
      EXPECT_EQ(why->code(), std::errc::timed_out);
    }
    EXPECT_EQ(controller_->open_count, 0u) << "it was given back";
  });
}

TEST_F(PcieTransportLossTest, RegistersTooSmallForNvme) {
  make({.register_bytes = 0x1000});
  run([&]() -> Task<> {
    auto starting = start_refused();
    const auto why = co_await std::move(starting);
    EXPECT_TRUE(why);
    EXPECT_EQ(controller_->open_count, 0u);
  });
}

TEST_F(PcieTransportLossTest, OpenedTwiceIsAnError) {
  make({});
  run([&]() -> Task<> {
    co_await start();
    PcieTransportOptions options;
    options.name = "again";
    PcieTransport again(std::move(options), std::make_unique<TestSource>(controller_), engine_.memory(), admin_);
    const QueueParameters admin{.qid = 0, .entries = 16, .timeout = 5s};
    auto opening = again.open_admin(admin, admin_events_);
    const auto opened = co_await as_result(std::move(opening));
    EXPECT_FALSE(opened.has_value());
    if (!opened.has_value()) {
      EXPECT_EQ(opened.error().code(), std::errc::device_or_resource_busy);
    }
    co_await finish();
  });
}

}  // namespace
}  // namespace spdkio::nvme::pcie
