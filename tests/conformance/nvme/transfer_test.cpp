// Data: digests, sizes, scatter lists, queue pairs on several Threads.
#include <spdkio/runtime/for_each_concurrent.hpp>
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/sleep.hpp>

#include <algorithm>
#include <array>

#include "nvme_fixture.hpp"

namespace spdkio::conformance {
namespace {

class NvmeTransfer : public NvmeConformance {};
INSTANTIATE_TEST_SUITE_P(Targets, NvmeTransfer, ::testing::ValuesIn(nvme_targets()),
                         [](const auto& one) { return one.param; });

TEST_P(NvmeTransfer, WhatIsWrittenIsReadBackWithAndWithoutDigests) {
  for (const auto& [header, data] : {std::pair{false, false}, {true, false}, {false, true}, {true, true}}) {
    nvme::ControllerOptions options;
    options.header_digest = header;
    options.data_digest = data;
    with_controller(options, [&](nvme::Controller&, nvme::Qpair& qpair, nvme::Namespace ns) -> Task<> {
      auto one = [&](std::uint64_t i) -> Task<> {
        constexpr std::array<std::uint64_t, 6> sizes{1, 8, 16, 61, 256, 700};
        const std::uint64_t count = sizes[i % sizes.size()];
        auto trip = round_trip(ns, qpair, {Lba{(i * 768) % (disk_blocks - 768)}, BlockCount{count}}, i);
        co_await std::move(trip);
      };
      std::array<std::uint64_t, 20> all{};
      for (std::uint64_t i = 0; i < all.size(); ++i) all[i] = i;
      auto running = for_each_concurrent(20, all, one);
      co_await std::move(running);
    });
  }
}

TEST_P(NvmeTransfer, ScatterListsOfAnyLength) {
  with_controller({}, [&](nvme::Controller&, nvme::Qpair& qpair, nvme::Namespace ns) -> Task<> {
    for (const std::size_t count : {2u, 3u, 16u, 17u, 64u}) {
      constexpr std::size_t piece = 1536;
      constexpr std::size_t distance = 4096;
      const DmaBuf memory(count * distance);
      const DmaBuf flat(count * piece);
      // From the end to the front and with gaps, so that no two of them are one.
      std::vector<DmaSpan> pieces;
      for (std::size_t i = 0; i < count; ++i) pieces.push_back(memory.subspan((count - 1 - i) * distance + 512, piece));
      fill_random(flat, count);
      for (std::size_t i = 0; i < count; ++i) std::memcpy(pieces[i].data(), flat.data() + i * piece, piece);
      const LbaRange range{Lba{100}, BlockCount{count * 3}};
      auto writing = ns.write(qpair, DmaSpans(pieces), range);
      co_await writing;
      const DmaBuf found(flat.size());
      auto reading = ns.read(qpair, found, range);
      co_await reading;
      EXPECT_TRUE(equal(found, flat)) << count << " pieces written";
      memory.fill(std::byte{0xA5});
      auto reading_pieces = ns.read(qpair, DmaSpans(pieces), range);
      co_await reading_pieces;
      for (std::size_t i = 0; i < count; ++i) {
        EXPECT_EQ(std::memcmp(pieces[i].data(), flat.data() + i * piece, piece), 0) << count << " pieces read";
        EXPECT_EQ(pieces[i].data()[piece], std::byte{0xA5}) << "beyond the piece";
      }
    }
  });
}

TEST_P(NvmeTransfer, RangesBeyondTheTransferLimitAreCut) {
  with_controller({}, [&](nvme::Controller& controller, nvme::Qpair& qpair, nvme::Namespace ns) -> Task<> {
    const std::uint64_t most = controller.max_transfer_bytes() / ns.block_bytes();
    EXPECT_GT(most, 0u);
    const std::uint64_t count = std::min<std::uint64_t>(3 * most + 5, disk_blocks);
    auto trip = round_trip(ns, qpair, {Lba{0}, BlockCount{count}}, 77);
    co_await std::move(trip);
  });
}

TEST_P(NvmeTransfer, MoreRequestsThanTheQueueHolds) {
  on_home([&]() -> Task<> {
    auto connecting = nvme::Controller::connect(address_);
    nvme::Controller controller = co_await std::move(connecting);
    nvme::QpairOptions options;
    options.queue_size = 8;
    auto allocating = controller.alloc_io_qpair(options);
    nvme::Qpair qpair = co_await std::move(allocating);
    EXPECT_EQ(qpair.capacity(), 7u);
    const nvme::Namespace ns = controller.ns(1);
    {
      Scope scope;
      for (std::uint64_t i = 0; i < 100; ++i) {
        scope.spawn(round_trip(ns, qpair, {Lba{i * 8}, BlockCount{8}}, i));
      }
      co_await scope.join();
    }
    auto closing = qpair.close();
    co_await std::move(closing);
    auto detaching = controller.detach();
    co_await std::move(detaching);
  });
}

TEST_P(NvmeTransfer, EachThreadHasItsQueuePair) {
  constexpr std::size_t count = 3;
  on_home([&]() -> Task<> {
    auto connecting = nvme::Controller::connect(address_);
    nvme::Controller controller = co_await std::move(connecting);
    std::vector<Thread> threads;
    for (std::size_t i = 0; i < count; ++i) threads.push_back(Thread::create("worker"));
    auto work = [&controller](std::uint64_t worker) -> Task<> {
      auto allocating = controller.alloc_io_qpair();
      nvme::Qpair qpair = co_await std::move(allocating);
      const nvme::Namespace ns = controller.ns(1);
      for (std::uint64_t i = 0; i < 30; ++i) {
        auto trip = round_trip(ns, qpair, {Lba{worker * 4096 + i * 16}, BlockCount{16}}, worker * 100 + i);
        co_await std::move(trip);
      }
      auto closing = qpair.close();
      co_await std::move(closing);
    };
    std::vector<JoinHandle<>> running;
    for (std::size_t i = 0; i < count; ++i) running.push_back(threads[i].spawn(work(i)));
    for (JoinHandle<>& one : running) co_await std::move(one);
    for (Thread& thread : threads) {
      auto ending = thread.exit();
      co_await std::move(ending);
    }
    auto detaching = controller.detach();
    co_await std::move(detaching);
  });
}

TEST_P(NvmeTransfer, AQueuePairThatTheProgramPolls) {
  on_home([&]() -> Task<> {
    auto connecting = nvme::Controller::connect(address_);
    nvme::Controller controller = co_await std::move(connecting);
    nvme::QpairOptions options;
    options.poll = false;
    auto allocating = controller.alloc_io_qpair(options);
    nvme::Qpair qpair = co_await std::move(allocating);
    const nvme::Namespace ns = controller.ns(1);
    auto trip = CurrentThread::spawn(round_trip(ns, qpair, {Lba{8}, BlockCount{8}}, 5));
    while (!trip.done()) {
      qpair.process_completions();
      co_await yield();
    }
    co_await std::move(trip);
    auto closing = qpair.close();
    co_await std::move(closing);
    auto detaching = controller.detach();
    co_await std::move(detaching);
  });
}

}  // namespace
}  // namespace spdkio::conformance
