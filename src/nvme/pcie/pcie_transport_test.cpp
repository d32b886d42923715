#include "nvme/pcie/pcie_transport.hpp"

#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/block_on.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/poller.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/spec/opcodes.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "engine/fake_engine.hpp"
#include "nvme/pcie/test_controller.hpp"

namespace spdkio::nvme::pcie {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

/// A request that can be waited for.
struct Waited : Request {
  Waited() {
    set_on_complete([](Request& request) noexcept { static_cast<Waited&>(request).done.set(); });
  }
  Event done;
};

struct Events final : QueueEvents {
  void queue_failed(const Error& error) noexcept override {
    ++failures;
    why = error;
  }
  int failures = 0;
  std::optional<Error> why;
};

/// Sends admin commands over the admin queue, as the controller above the transport does.
struct Admin final : AdminCommands {
  Task<spec::Completion> admin_command(const spec::Command& command) override {
    Waited request;
    request.command = command;
    if (queue == nullptr || !queue->submit(request)) throw Error(std::errc::not_connected);
    co_await request.done.wait();
    if (request.end != RequestEnd::answered) throw Error(std::errc::not_connected);
    if (!request.completion.ok()) throw Error(request.completion.status());
    co_return request.completion;
  }
  TransportQueue* queue = nullptr;
};

/// A transport on a controller of memory, all on one Thread.
class PcieTransportTest : public testing::Test {
 protected:
  void make(TestController::Setup setup, bool interrupts = true) {
    controller_ = std::make_shared<TestController>(setup);
    PcieTransportOptions options;
    options.name = "pcie0";
    options.interrupts = interrupts;
    options.health_period = 1ms;
    transport_.emplace(std::move(options), std::make_unique<TestSource>(controller_), engine_.memory(), admin_);
  }

  /// Runs `body` while the controller works and the queues are polled.
  template <class F>
  void run(F body) {
    const auto whole = [&]() -> Task<> {
      Poller work([this] { return controller_->tick() ? PollResult::busy : PollResult::idle; });
      Poller poll([this] {
        std::size_t count = admin_queue_ != nullptr ? admin_queue_->poll() : 0;
        if (io_queue_ != nullptr && poll_io_) count += io_queue_->poll();
        return count != 0 ? PollResult::busy : PollResult::idle;
      });
      auto task = body();
      co_await std::move(task);
    };
    block_on(whole());
  }

  Task<> start(std::uint32_t entries = 8) {
    const QueueParameters admin{.qid = 0, .entries = 16, .timeout = 5s};
    auto opening = transport_->open_admin(admin, admin_events_);
    admin_queue_ = co_await std::move(opening);
    admin_.queue = admin_queue_.get();
    auto enabling = transport_->set_property(spec::Property::cc, 4, spec::Configuration::enable(0).value);
    co_await std::move(enabling);
    for (;;) {
      auto reading = transport_->get_property(spec::Property::csts, 4);
      if ((co_await std::move(reading) & 1) != 0) break;
      co_await sleep_for(1ms);
    }
    const QueueParameters io{.qid = 1, .entries = entries, .timeout = 5s};
    auto opening_io = transport_->open_io(io, io_events_);
    io_queue_ = co_await std::move(opening_io);
  }

  Task<> finish(bool orderly = true) {
    if (io_queue_ != nullptr) {
      auto stopping = io_queue_->stop(orderly);
      co_await std::move(stopping);
      io_queue_.reset();
    }
    if (admin_queue_ != nullptr) {
      auto stopping = admin_queue_->stop(orderly);
      co_await std::move(stopping);
      admin_.queue = nullptr;
      admin_queue_.reset();
    }
    auto closing = transport_->close();
    co_await std::move(closing);
    EXPECT_EQ(controller_->open_count, 0u);
    EXPECT_FALSE(controller_->touched_memory_unasked);
  }

  static void prepare(Waited& request, spec::NvmOpcode opcode, std::uint64_t block, const std::vector<DmaSpan>& spans) {
    std::size_t bytes = 0;
    for (const DmaSpan& span : spans) bytes += span.size();
    request.command.opcode = raw(opcode);
    request.command.nsid = 1;
    request.command.set_cdw10_11(block);
    request.command.cdw12 = static_cast<std::uint32_t>(bytes / TestController::block_bytes - 1);
    request.iov = spans.data();
    request.iov_count = static_cast<std::uint32_t>(spans.size());
    request.data_bytes = static_cast<std::uint32_t>(bytes);
    request.direction = spec::data_transfer_of(raw(opcode));
  }

  Task<> transfer(spec::NvmOpcode opcode, std::uint64_t block, std::vector<DmaSpan> spans) {
    Waited request;
    prepare(request, opcode, block, spans);
    while (!io_queue_->submit(request)) co_await yield();
    co_await request.done.wait();
    EXPECT_TRUE(request.succeeded()) << static_cast<int>(request.end) << " " << request.errno_value;
  }

  Task<> transfer(spec::NvmOpcode opcode, std::uint64_t block, DmaSpan span) {
    std::vector<DmaSpan> spans(1, span);
    co_await transfer(opcode, block, std::move(spans));
  }

  engine::FakeEngine engine_;
  std::shared_ptr<TestController> controller_;
  Admin admin_;
  Events admin_events_;
  Events io_events_;
  std::optional<PcieTransport> transport_;
  std::unique_ptr<TransportQueue> admin_queue_;
  std::unique_ptr<TransportQueue> io_queue_;
  bool poll_io_ = true;
};

void fill(DmaBuf& buf, unsigned seed) {
  std::mt19937 random(seed);
  for (std::byte& byte : buf.bytes()) byte = static_cast<std::byte>(random());
}

TEST_F(PcieTransportTest, OpensWritesReadsAndCloses) {
  make({});
  run([&]() -> Task<> {
    co_await start();
    EXPECT_EQ(controller_->io_queues(), 1u);
    EXPECT_EQ(transport_->limits().max_queue_entries, 64u);
    EXPECT_FALSE(transport_->limits().fabrics);
    constexpr std::array<std::size_t, 4> sizes{512, 4096, 12288, 1u << 20};
    for (const std::size_t bytes : sizes) {
      DmaBuf out(bytes);
      DmaBuf in(bytes);
      fill(out, static_cast<unsigned>(bytes));
      co_await transfer(spec::NvmOpcode::write, 7, out.span());
      co_await transfer(spec::NvmOpcode::read, 7, in.span());
      EXPECT_EQ(std::memcmp(out.data(), in.data(), bytes), 0) << bytes;
    }
    co_await finish();
    EXPECT_EQ(controller_->io_queues(), 0u) << "the queues were deleted";
    EXPECT_EQ(admin_events_.failures + io_events_.failures, 0);
  });
}

TEST_F(PcieTransportTest, ManyInFlightOverManyRoundsOfTheRing) {
  make({});
  run([&]() -> Task<> {
    co_await start(8);
    EXPECT_EQ(io_queue_->capacity(), 7u);
    DmaBuf buf(4096);
    const std::vector<DmaSpan> spans{buf.span()};
    controller_->hold_io = true;
    std::vector<std::unique_ptr<Waited>> requests;
    for (int i = 0; i < 8; ++i) {
      requests.push_back(std::make_unique<Waited>());
      prepare(*requests.back(), spec::NvmOpcode::read, 8, spans);
      EXPECT_EQ(io_queue_->submit(*requests.back()), i < 7) << "seven fit";
    }
    while (controller_->held.size() < 7) co_await yield();
    controller_->release_held();
    for (int i = 0; i < 7; ++i) co_await requests[static_cast<std::size_t>(i)]->done.wait();
    for (int i = 0; i < 100; ++i) {
      fill(buf, static_cast<unsigned>(i));
      DmaBuf back(4096);
      co_await transfer(spec::NvmOpcode::write, 16, spans);
      co_await transfer(spec::NvmOpcode::read, 16, back.span());
      EXPECT_EQ(std::memcmp(buf.data(), back.data(), 4096), 0);
    }
    co_await finish();
  });
}

TEST_F(PcieTransportTest, OneDoorbellForARound) {
  make({});
  run([&]() -> Task<> {
    co_await start(32);
    DmaBuf buf(4096);
    const std::vector<DmaSpan> spans{buf.span()};
    const auto before = controller_->doorbell_writes;
    std::vector<std::unique_ptr<Waited>> requests;
    for (int i = 0; i < 16; ++i) {
      requests.push_back(std::make_unique<Waited>());
      prepare(*requests.back(), spec::NvmOpcode::read, 0, spans);
      EXPECT_TRUE(io_queue_->submit(*requests.back()));
    }
    for (auto& request : requests) co_await request->done.wait();
    EXPECT_EQ(controller_->doorbell_writes, before + 1);
    co_await finish();
  });
}

TEST_F(PcieTransportTest, ScatterListsGoAsSgl) {
  make({.sgls = 1});
  run([&]() -> Task<> {
    co_await start();
    DmaBuf out(16384);
    DmaBuf in(16384);
    fill(out, 3);
    const std::vector<DmaSpan> pieces{out.subspan(100, 412), out.subspan(8192, 100), out.subspan(512, 512)};
    co_await transfer(spec::NvmOpcode::write, 0, pieces);
    co_await transfer(spec::NvmOpcode::read, 0, in.subspan(0, 1024));
    EXPECT_EQ(std::memcmp(in.data(), out.data() + 100, 412), 0);
    EXPECT_EQ(std::memcmp(in.data() + 412, out.data() + 8192, 100), 0);
    EXPECT_EQ(std::memcmp(in.data() + 512, out.data() + 512, 512), 0);
    EXPECT_EQ(controller_->io_log.front().psdt(), spec::Psdt::sgl_contiguous_metadata);
    EXPECT_EQ(controller_->io_log.back().psdt(), spec::Psdt::prp);
    co_await finish();
  });
}

TEST_F(PcieTransportTest, WhatCannotBeSaidIsRefusedAndTakesNoPlace) {
  make({});
  run([&]() -> Task<> {
    co_await start(2);
    DmaBuf buf(16384);
    const std::vector<DmaSpan> spans{buf.subspan(100, 412), buf.subspan(8192, 100)};
    for (int i = 0; i < 5; ++i) {
      Waited request;
      prepare(request, spec::NvmOpcode::read, 0, spans);
      EXPECT_TRUE(io_queue_->submit(request));
      EXPECT_EQ(request.end, RequestEnd::refused);
      EXPECT_EQ(request.errno_value, EINVAL);
      EXPECT_EQ(request.outcome, Outcome::never_submitted);
    }
    co_await transfer(spec::NvmOpcode::read, 0, buf.span());
    EXPECT_EQ(controller_->io_log.size(), 1u);
    co_await finish();
  });
}

TEST_F(PcieTransportTest, ErrorsOfTheDeviceArriveWhole) {
  make({});
  run([&]() -> Task<> {
    co_await start();
    DmaBuf buf(512);
    const std::vector<DmaSpan> spans{buf.span()};
    Waited request;
    prepare(request, spec::NvmOpcode::read, 1u << 30, spans);
    EXPECT_TRUE(io_queue_->submit(request));
    co_await request.done.wait();
    EXPECT_EQ(request.end, RequestEnd::answered);
    EXPECT_EQ(request.completion.status().sc, 0x80);
    co_await finish();
  });
}

TEST_F(PcieTransportTest, ShadowDoorbellsSaveRegisterWrites) {
  make({.shadow_doorbells = true});
  run([&]() -> Task<> {
    co_await start();
    DmaBuf out(4096);
    DmaBuf in(4096);
    for (unsigned i = 0; i < 50; ++i) {
      fill(out, i);
      co_await transfer(spec::NvmOpcode::write, 0, out.span());
      co_await transfer(spec::NvmOpcode::read, 0, in.span());
      EXPECT_EQ(std::memcmp(out.data(), in.data(), 4096), 0);
    }
    const auto configured = std::ranges::find(controller_->admin_log, raw(spec::AdminOpcode::doorbell_buffer_config),
                                              &spec::Command::opcode);
    EXPECT_NE(configured, controller_->admin_log.end());
    co_await finish();
  });
}

TEST_F(PcieTransportTest, RefusedShadowDoorbellsAreDoneWithout) {
  make({.shadow_doorbells = true, .refuse_shadow_doorbells = true});
  run([&]() -> Task<> {
    co_await start();
    DmaBuf buf(4096);
    co_await transfer(spec::NvmOpcode::write, 0, buf.span());
    co_await finish();
  });
}

TEST_F(PcieTransportTest, InterruptsMakeTheDescriptorReadable) {
  make({});
  run([&]() -> Task<> {
    co_await start();
    EXPECT_GE(io_queue_->wake_fd(), 0);
    EXPECT_NE(io_queue_->wake_fd(), admin_queue_->wake_fd());
    pollfd readable{.fd = io_queue_->wake_fd(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(::poll(&readable, 1, 0), 0);
    poll_io_ = false;
    DmaBuf buf(512);
    const std::vector<DmaSpan> spans{buf.span()};
    Waited request;
    prepare(request, spec::NvmOpcode::read, 0, spans);
    EXPECT_TRUE(io_queue_->submit(request));
    while (::poll(&readable, 1, 0) == 0) co_await yield();
    EXPECT_EQ(io_queue_->poll(), 1u);
    EXPECT_TRUE(request.succeeded());
    // After some rounds without work it may be waited on again.
    for (int i = 0; i < 16; ++i) EXPECT_EQ(io_queue_->poll(), 0u);
    EXPECT_EQ(::poll(&readable, 1, 0), 0);
    co_await finish();
  });
}

TEST_F(PcieTransportTest, QueuesBeyondTheVectorsHaveNone) {
  make({.vectors = 1});
  run([&]() -> Task<> {
    co_await start();
    EXPECT_GE(admin_queue_->wake_fd(), 0);
    EXPECT_EQ(io_queue_->wake_fd(), -1);
    DmaBuf buf(512);
    co_await transfer(spec::NvmOpcode::read, 0, buf.span());
    co_await finish();
  });
}

TEST_F(PcieTransportTest, WithoutInterruptsNoneAreConnected) {
  make({}, false);
  run([&]() -> Task<> {
    co_await start();
    EXPECT_TRUE(controller_->events.empty());
    EXPECT_EQ(io_queue_->wake_fd(), -1);
    co_await finish();
  });
}

TEST_F(PcieTransportTest, StoppingAnswersWhatTheControllerGivesBack) {
  make({});
  run([&]() -> Task<> {
    co_await start();
    controller_->hold_io = true;
    DmaBuf buf(512);
    const std::vector<DmaSpan> spans{buf.span()};
    Waited request;
    prepare(request, spec::NvmOpcode::read, 0, spans);
    EXPECT_TRUE(io_queue_->submit(request));
    while (controller_->held.empty()) co_await yield();
    auto stopping = io_queue_->stop(true);
    co_await std::move(stopping);
    EXPECT_TRUE(request.done.is_set());
    EXPECT_EQ(request.end, RequestEnd::answered);
    EXPECT_EQ(request.completion.status().sc, 0x08) << "aborted because its queue was deleted";
    EXPECT_TRUE(controller_->bus_master) << "the others go on";
    io_queue_.reset();
    co_await finish();
  });
}

TEST_F(PcieTransportTest, StoppingHardTakesTheDeviceOffTheMemoryFirst) {
  make({});
  run([&]() -> Task<> {
    co_await start();
    controller_->hold_io = true;
    DmaBuf buf(512);
    const std::vector<DmaSpan> spans{buf.span()};
    Waited sent;
    Waited unsent;
    prepare(sent, spec::NvmOpcode::read, 0, spans);
    prepare(unsent, spec::NvmOpcode::read, 0, spans);
    EXPECT_TRUE(io_queue_->submit(sent));
    while (controller_->held.empty()) co_await yield();
    auto stopping = io_queue_->stop(false);
    co_await std::move(stopping);
    EXPECT_FALSE(controller_->bus_master);
    EXPECT_EQ(sent.end, RequestEnd::lost);
    EXPECT_EQ(sent.outcome, Outcome::may_have_executed);
    EXPECT_FALSE(io_queue_->submit(unsent));
    // The other queues hear of it.
    while (admin_events_.failures == 0) co_await yield();
    io_queue_.reset();
    co_await finish(false);
  });
}

TEST_F(PcieTransportTest, OpensAgainAfterALoss) {
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

TEST_F(PcieTransportTest, WithdrawnBeforeTheDoorbell) {
  make({});
  run([&]() -> Task<> {
    co_await start();
    DmaBuf buf(512);
    const std::vector<DmaSpan> spans{buf.span()};
    Waited first;
    Waited second;
    Waited third;
    const std::array all{&first, &second, &third};
    for (Waited* request : all) {
      prepare(*request, spec::NvmOpcode::read, request == &first ? 1 : request == &second ? 2 : 3, spans);
      EXPECT_TRUE(io_queue_->submit(*request));
    }
    EXPECT_TRUE(io_queue_->withdraw(second));
    co_await first.done.wait();
    co_await third.done.wait();
    EXPECT_FALSE(io_queue_->withdraw(first)) << "it is over";
    EXPECT_EQ(controller_->io_log.size(), 2u);
    EXPECT_EQ(controller_->io_log[1].cdw10_11(), 3u);
    co_await finish();
  });
}

TEST_F(PcieTransportTest, HeldIdentifiersAreNotUsedAgain) {
  make({});
  run([&]() -> Task<> {
    co_await start(3);
    DmaBuf buf(512);
    const std::vector<DmaSpan> spans{buf.span()};
    Waited first;
    prepare(first, spec::NvmOpcode::read, 0, spans);
    EXPECT_TRUE(io_queue_->submit(first));
    io_queue_->hold_cid(first.cid);
    co_await first.done.wait();
    for (int i = 0; i < 4; ++i) {
      Waited other;
      prepare(other, spec::NvmOpcode::read, 0, spans);
      EXPECT_TRUE(io_queue_->submit(other));
      EXPECT_NE(other.cid, first.cid);
      co_await other.done.wait();
    }
    io_queue_->release_cid(first.cid);
    Waited one;
    Waited two;
    const std::array both{&one, &two};
    for (Waited* request : both) {
      prepare(*request, spec::NvmOpcode::read, 0, spans);
      EXPECT_TRUE(io_queue_->submit(*request)) << "there is room for two again";
    }
    co_await one.done.wait();
    co_await two.done.wait();
    co_await finish();
  });
}

TEST_F(PcieTransportTest, ADeviceThatDisappearsFailsItsQueues) {
  make({});
  run([&]() -> Task<> {
    co_await start();
    controller_->hold_io = true;
    DmaBuf buf(512);
    const std::vector<DmaSpan> spans{buf.span()};
    Waited request;
    prepare(request, spec::NvmOpcode::read, 0, spans);
    EXPECT_TRUE(io_queue_->submit(request));
    while (controller_->held.empty()) co_await yield();
    controller_->disappear();
    while (io_events_.failures == 0 || admin_events_.failures == 0) co_await sleep_for(1ms);
    EXPECT_EQ(io_events_.why->code(), std::errc::no_such_device);
    EXPECT_FALSE(request.done.is_set()) << "its buffer is the device's until the queue was stopped";
    auto reading = transport_->get_property(spec::Property::csts, 4);
    const auto read = co_await as_result(std::move(reading));
    EXPECT_FALSE(read.has_value());
    co_await finish(false);
    EXPECT_EQ(request.end, RequestEnd::lost);
    EXPECT_EQ(io_events_.failures, 1);
  });
}

TEST_F(PcieTransportTest, ADeviceThatIsAskedBackFailsItsQueues) {
  make({});
  run([&]() -> Task<> {
    co_await start();
    controller_->removal_requested = true;
    while (io_events_.failures == 0 || admin_events_.failures == 0) co_await sleep_for(1ms);
    EXPECT_THAT(io_events_.why->what(), HasSubstr("removed"));
    co_await finish(false);
  });
}

TEST_F(PcieTransportTest, AFatalStatusFailsItsQueues) {
  make({});
  run([&]() -> Task<> {
    co_await start();
    controller_->set_register32(spec::Property::csts, 3);
    while (io_events_.failures == 0) co_await sleep_for(1ms);
    EXPECT_THAT(io_events_.why->what(), HasSubstr("fatal"));
    co_await finish(false);
  });
}

TEST_F(PcieTransportTest, StrayCompletionsFailTheQueue) {
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

TEST_F(PcieTransportTest, QueuesThatAreRefusedLeaveNothing) {
  make({.refuse_queues = true});
  run([&]() -> Task<> {
    auto starting = start();
    const auto started = co_await as_result(std::move(starting));
    EXPECT_FALSE(started.has_value());
    if (started.has_value()) co_return;
    EXPECT_TRUE(started.error().nvme_status().has_value());
    EXPECT_TRUE(controller_->bus_master) << "the admin queue goes on";
    co_await finish();
  });
}

TEST_F(PcieTransportTest, OneThatNeverGetsReadyIsGivenUp) {
  make({.never_ready = true});
  controller_->set_register32(spec::Property::csts, 1);
  run([&]() -> Task<> {
    auto starting = start();
    const auto started = co_await as_result(std::move(starting));
    EXPECT_FALSE(started.has_value());
    if (!started.has_value()) {
      EXPECT_EQ(started.error().code(), std::errc::timed_out);
    }
    EXPECT_EQ(controller_->open_count, 0u) << "it was given back";
  });
}

TEST_F(PcieTransportTest, RegistersTooSmallForNvme) {
  make({.register_bytes = 0x1000});
  run([&]() -> Task<> {
    auto starting = start();
    const auto started = co_await as_result(std::move(starting));
    EXPECT_FALSE(started.has_value());
    EXPECT_EQ(controller_->open_count, 0u);
  });
}

TEST_F(PcieTransportTest, OpenedTwiceIsAnError) {
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

TEST(MakePcieTransport, RefusesAnAddressThatIsNone) {
  Admin admin;
  EXPECT_THROW(make_pcie_transport("x", "192.0.2.1", admin), Error);
}

}  // namespace
}  // namespace spdkio::nvme::pcie
