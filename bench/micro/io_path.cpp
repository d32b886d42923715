// What a coroutine costs over a raw callback on the same device: both drive a device that completes in the next round.
#include <spdkio/app/env.hpp>
#include <spdkio/bdev/bdev_desc.hpp>
#include <spdkio/bdev/service.hpp>
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/thread.hpp>

#include <benchmark/benchmark.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace {

using namespace spdkio;

constexpr std::uint64_t num_blocks = 1 << 20;

/// Queues requests and completes them at the end of the poll round, as a device with a completion queue does.
class QueueChannel final : public bdev::Channel, private detail::Deferred {
 public:
  QueueChannel() : core_(detail::ThreadCore::require_current("bench")) { run = complete_all; }
  void submit(bdev::Io& io) noexcept override {
    io.next = nullptr;
    *tail_ = &io;
    tail_ = &io.next;
    core_.defer(*this);
  }

 private:
  static std::size_t complete_all(detail::Deferred& deferred) noexcept {
    auto& self = static_cast<QueueChannel&>(deferred);
    bdev::Io* io = self.head_;
    self.head_ = nullptr;
    self.tail_ = &self.head_;
    std::size_t count = 0;
    while (io != nullptr) {
      bdev::Io* next = io->next;
      io->complete(bdev::IoStatus::success());
      io = next;
      ++count;
    }
    return count;
  }
  detail::ThreadCore& core_;
  bdev::Io* head_ = nullptr;
  bdev::Io** tail_ = &head_;
};

class QueueDevice final : public bdev::Device {
 public:
  QueueDevice() : Device("queue", "Queue disk", {.block_size = 4096, .num_blocks = num_blocks}) {}
  bool supports(bdev::IoType type) const noexcept override { return type == bdev::IoType::read; }
  std::unique_ptr<bdev::Channel> make_channel() override { return std::make_unique<QueueChannel>(); }
};

/// A device, opened on an attached Thread, for the life of a benchmark.
class Fixture {
 public:
  Fixture() : env_(Env::start({.name = "bench", .no_huge = true})), thread_(Thread::attach("bench")) {
    run([](Fixture& self) -> Task<> {
      auto& service = bdev::Service::current();
      co_await service.register_device(std::make_unique<QueueDevice>());
      auto opening = BdevDesc::open("queue");
      self.desc_.emplace(co_await std::move(opening));
      self.channel_ = self.desc_->io_channel();
    }(*this));
  }
  ~Fixture() {
    run([](Fixture& self) -> Task<> {
      self.channel_.close();
      co_await self.desc_->close();
      co_await bdev::Service::current().unregister_device("queue");
    }(*this));
    buffer_ = DmaBuf{};
    thread_.close();
  }
  void run(Task<> task) {
    auto handle = thread_.spawn(std::move(task));
    thread_.run_until([&] { return handle.done(); });
    handle.wait();
  }

  Env env_;
  Thread thread_;
  std::optional<BdevDesc> desc_;
  IoChannel channel_;
  DmaBuf buffer_{4096};
};

Task<> read_loop(Fixture& fixture, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) {
    co_await fixture.desc_->read(fixture.channel_, fixture.buffer_, LbaRange{Lba{i % num_blocks}, BlockCount{1}});
  }
}

Task<> read_loops(Fixture& fixture, std::uint64_t depth, std::uint64_t count) {
  Scope scope("loops");
  for (std::uint64_t i = 0; i < depth; ++i) scope.spawn(read_loop(fixture, count));
  co_await scope.join();
}

void coroutines(benchmark::State& state) {
  Fixture fixture;
  const auto depth = static_cast<std::uint64_t>(state.range(0));
  constexpr std::uint64_t per_round = 10'000;
  for (auto _ : state) fixture.run(read_loops(fixture, depth, per_round));
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * depth * per_round));
}
BENCHMARK(coroutines)->Arg(1)->Arg(32);

/// The same requests, submitted to the channel by callbacks that submit the next one.
struct CallbackLoop final : bdev::Io {
  bdev::ChannelSlot* to = nullptr;
  DmaSpan span;
  std::uint64_t left = 0;
  std::uint64_t* running = nullptr;

  void submit_next() noexcept {
    type = bdev::IoType::read;
    iov = &span;
    iov_count = 1;
    lba = left % num_blocks;
    blocks = 1;
    set_on_complete([](bdev::Io& io) noexcept {
      auto& self = static_cast<CallbackLoop&>(io);
      if (--self.left == 0) {
        --*self.running;
      } else {
        self.submit_next();
      }
    });
    to->submit(*this);
  }
};

void callbacks(benchmark::State& state) {
  Fixture fixture;
  const auto depth = static_cast<std::uint64_t>(state.range(0));
  constexpr std::uint64_t per_round = 10'000;
  std::vector<CallbackLoop> loops(depth);
  for (auto _ : state) {
    std::uint64_t running = depth;
    for (auto& loop : loops) {
      loop.to = fixture.channel_.slot();
      loop.span = fixture.buffer_;
      loop.left = per_round;
      loop.running = &running;
      loop.submit_next();
    }
    while (running != 0) fixture.thread_.poll();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * depth * per_round));
}
BENCHMARK(callbacks)->Arg(1)->Arg(32);

}  // namespace

BENCHMARK_MAIN();
