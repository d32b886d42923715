// What the tests of the PCIe transport share: a transport on a controller of memory, all on one Thread.
#pragma once

#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/runtime/block_on.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/poller.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/spec/opcodes.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "engine/fake_engine.hpp"
#include "nvme/pcie/pcie_transport.hpp"
#include "nvme/pcie/test_controller.hpp"

namespace spdkio::nvme::pcie {

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
    options.health_period = std::chrono::milliseconds{1};
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
    const QueueParameters admin{.qid = 0, .entries = 16, .timeout = std::chrono::seconds{5}};
    auto opening = transport_->open_admin(admin, admin_events_);
    admin_queue_ = co_await std::move(opening);
    admin_.queue = admin_queue_.get();
    auto enabling = transport_->set_property(spec::Property::cc, 4, spec::Configuration::enable(0).value);
    co_await std::move(enabling);
    for (;;) {
      auto reading = transport_->get_property(spec::Property::csts, 4);
      if ((co_await std::move(reading) & 1) != 0) break;
      co_await sleep_for(std::chrono::milliseconds{1});
    }
    const QueueParameters io{.qid = 1, .entries = entries, .timeout = std::chrono::seconds{5}};
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

inline void fill(DmaBuf& buf, unsigned seed) {
  std::mt19937 random(seed);
  for (std::byte& byte : buf.bytes()) byte = static_cast<std::byte>(random());
}

}  // namespace spdkio::nvme::pcie
