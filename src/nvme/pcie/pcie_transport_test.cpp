#include "nvme/pcie/pcie_transport.hpp"

#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/runtime/as_result.hpp>
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
#include <vector>

#include "nvme/pcie/transport_fixture.hpp"

namespace spdkio::nvme::pcie {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

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

TEST(MakePcieTransport, RefusesAnAddressThatIsNone) {
  Admin admin;
  EXPECT_THROW(make_pcie_transport("x", "192.0.2.1", admin), Error);
}

}  // namespace
}  // namespace spdkio::nvme::pcie
