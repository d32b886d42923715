// Steady-state I/O over NVMe/TCP allocates nothing on the heap, neither at the initiator nor at the target. This
// program replaces the allocation functions and counts; initiator and target are in it.
#include <spdkio/app/env.hpp>
#include <spdkio/bdev/bdev_desc.hpp>
#include <spdkio/bdev_modules/malloc.hpp>
#include <spdkio/bdev_modules/nvme.hpp>
#include <spdkio/nvme/controller.hpp>
#include <spdkio/nvmf/target.hpp>
#include <spdkio/runtime/block_on.hpp>
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/thread.hpp>

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <utility>

#include "runtime/counted_malloc.hpp"

namespace spdkio {
namespace {

using runtime_test::allocations;
using runtime_test::counting;

constexpr int workers = 32;
constexpr int warm_up = 100;
constexpr int measured = 160;
constexpr std::uint64_t blocks_each = 512;
constexpr std::size_t buffer_bytes = blocks_each * 512;

/// Counts from the moment when all workers have warmed up.
class Phase {
 public:
  void warmed_up() {
    if (++warm_ != workers) return;
    allocations = 0;
    counting = true;
  }

 private:
  int warm_ = 0;
};

template <class F>
Task<> work(F& io, Phase& phase, int worker) {
  const DmaBuf buffer(buffer_bytes);
  buffer.fill(static_cast<std::byte>(worker));
  for (int i = 0; i < warm_up + measured; ++i) {
    if (i == warm_up) phase.warmed_up();
    auto running = io(buffer.span(), worker, i);
    co_await std::move(running);
  }
}

template <class F>
Task<std::uint64_t> count_allocations(F& io) {
  Phase phase;
  Scope scope;
  for (int worker = 0; worker < workers; ++worker) scope.spawn(work(io, phase, worker));
  co_await scope.join();
  counting = false;
  co_return allocations.load();
}

/// Each worker has blocks of its own. Small transfers go with the command, large ones with messages of their own.
LbaRange range_of(int worker, int i) {
  constexpr std::uint64_t sizes[] = {1, 8, 8, 64, 8, 256, 8, blocks_each};
  return {Lba{static_cast<std::uint64_t>(worker) * blocks_each}, BlockCount{sizes[static_cast<std::size_t>(i) % 8]}};
}

/// The same bytes in three pieces that end where no block does.
std::array<DmaSpan, 3> pieces_of(DmaSpan data) {
  const std::size_t first = data.size() / 4 + 4;
  const std::size_t second = data.size() / 2 + 8;
  return {data.subspan(0, first), data.subspan(first, second - first), data.subspan(second, data.size() - second)};
}

/// Writes, reads, and both with a scatter list, by turns. `disk` is a Namespace or a BdevDesc, `way` what leads to it.
template <class Disk, class Way>
Task<> transfer(const Disk& disk, const Way& way, DmaSpan data, LbaRange range, int i) {
  const std::array<DmaSpan, 3> pieces = pieces_of(data);
  switch (i % 4) {
    case 0: {
      auto writing = disk.write(way, data, range);
      co_await writing;
      break;
    }
    case 1: {
      auto reading = disk.read(way, data, range);
      co_await reading;
      break;
    }
    case 2: {
      auto writing = disk.write(way, pieces, range);
      co_await writing;
      break;
    }
    default: {
      auto reading = disk.read(way, pieces, range);
      co_await reading;
      break;
    }
  }
}

/// Without Keep Alive, which is no I/O and may allocate.
nvme::ControllerOptions options_with(bool digests) {
  nvme::ControllerOptions options;
  options.keep_alive = std::chrono::milliseconds{0};
  options.header_digest = options.data_digest = digests;
  return options;
}

Task<> through_namespace(nvme::TransportId address, bool digests) {
  const nvme::ControllerOptions options = options_with(digests);
  auto connecting = nvme::Controller::connect(address, options);
  nvme::Controller controller = co_await std::move(connecting);
  auto allocating = controller.alloc_io_qpair();
  nvme::Qpair qpair = co_await std::move(allocating);
  const nvme::Namespace ns = controller.ns(1);
  auto io = [&](DmaSpan buffer, int worker, int i) -> Task<> {
    const LbaRange range = range_of(worker, i / 4);
    const DmaSpan data = buffer.subspan(0, ns.bytes(range.count));
    auto moving = transfer(ns, qpair, data, range, i);
    co_await std::move(moving);
    if (i % 50 == 0) {
      auto deallocating = ns.deallocate(qpair, range);
      co_await deallocating;
      auto zeroing = ns.write_zeroes(qpair, range);
      co_await zeroing;
      auto flushing = ns.flush(qpair);
      co_await flushing;
    }
  };
  auto counting_io = count_allocations(io);
  EXPECT_EQ(co_await std::move(counting_io), 0u);
  auto closing = qpair.close();
  co_await std::move(closing);
  auto detaching = controller.detach();
  co_await std::move(detaching);
}

Task<> through_bdev(nvme::TransportId address, bool digests) {
  const nvme::ControllerOptions options = options_with(digests);
  auto attaching = bdev::attach_nvme("Nvme0", address, options);
  co_await std::move(attaching);
  auto opening = BdevDesc::open("Nvme0n1", Access::read_write);
  BdevDesc disk = co_await std::move(opening);
  {
    IoChannel channel = disk.io_channel();
    auto io = [&](DmaSpan buffer, int worker, int i) -> Task<> {
      const LbaRange range = range_of(worker, i / 4);
      const DmaSpan data = buffer.subspan(0, range.count.value * 512);
      auto moving = transfer(disk, channel, data, range, i);
      co_await std::move(moving);
      if (i % 50 == 0) {
        auto unmapping = disk.unmap(channel, range);
        co_await unmapping;
        auto zeroing = disk.write_zeroes(channel, range);
        co_await zeroing;
      }
    };
    auto counting_io = count_allocations(io);
    EXPECT_EQ(co_await std::move(counting_io), 0u);
  }
  auto closing = disk.close();
  co_await std::move(closing);
  auto detaching = bdev::detach_nvme("Nvme0");
  co_await std::move(detaching);
}

using Way = Task<> (*)(nvme::TransportId, bool);

Task<> serve_and_measure(Way way, bool digests) {
  nvmf::TargetOptions target_options;
  target_options.provider = nvmf::Provider::library;  // what SPDK's allocates is its own affair
  auto creating = nvmf::Target::create(target_options);
  nvmf::Target target = co_await std::move(creating);
  auto adding = target.add_transport(nvmf::Transport::tcp());
  co_await std::move(adding);
  bdev::MallocOptions disk_options;
  disk_options.name = "Malloc0";
  disk_options.num_blocks = workers * blocks_each;
  auto making = bdev::create_malloc(disk_options);
  co_await std::move(making);
  nvmf::SubsystemOptions options;
  options.allow_any_host = true;
  auto making_subsystem = target.create_subsystem("nqn.2026-11.io.spdkio:quiet", options);
  const nvmf::Subsystem subsystem = co_await std::move(making_subsystem);
  auto showing = subsystem.add_namespace("Malloc0");
  co_await std::move(showing);
  auto listening = subsystem.add_listener(nvme::TransportId::tcp("127.0.0.1", 0));
  nvme::TransportId address = co_await std::move(listening);
  auto starting = subsystem.start();
  co_await std::move(starting);
  address.subnqn = subsystem.nqn();
  auto measuring = way(address, digests);
  co_await std::move(measuring);
  auto ending = target.destroy();
  co_await std::move(ending);
  auto removing = bdev::delete_malloc("Malloc0");
  co_await std::move(removing);
}

struct Case {
  const char* name;
  Way way;
  bool digests;
};

TEST(Counter, Counts) {
  allocations = 0;
  counting = true;
  void* volatile memory = std::malloc(1);
  std::free(memory);
  auto* volatile number = new int(1);
  delete number;
  counting = false;
  EXPECT_EQ(allocations.load(), 2u);
}

class NoAllocation : public ::testing::TestWithParam<Case> {};

TEST_P(NoAllocation, InSteadyState) {
  Env env = Env::start({.name = "quiet", .no_pci = true, .no_huge = true, .reactors = true});
  Thread home = Thread::create("home");
  auto measuring = [](ThreadHandle where, Case one) -> Task<> {
    auto measure = [one] { return serve_and_measure(one.way, one.digests); };
    auto calling = where.call(measure);
    co_await std::move(calling);
  };
  try {
    block_on(measuring(home.handle(), GetParam()));
  } catch (const std::exception& error) {
    ADD_FAILURE() << error.what();
  }
  counting = false;
  home.close();
}
INSTANTIATE_TEST_SUITE_P(OverTcp, NoAllocation,
                         ::testing::Values(Case{"Namespace", through_namespace, false},
                                           Case{"NamespaceWithDigests", through_namespace, true},
                                           Case{"Bdev", through_bdev, false},
                                           Case{"BdevWithDigests", through_bdev, true}),
                         [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace spdkio
