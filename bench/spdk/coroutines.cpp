// Reads through the coroutine interface, as fast as they go: on the spdk engine the counterpart of callbacks.cpp.
//
//   SPDKIO_ENGINE=spdk bench_spdk_coroutines <null|malloc> <queue depth> <seconds> [huge]        huge: on hugepages
#include <spdkio/spdkio.hpp>

#include <spdkio/engine/engine.hpp>
#include <spdkio/rpc/json.hpp>
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/sleep.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

namespace {

using namespace spdkio;

constexpr std::uint64_t blocks_per_io = 8;
constexpr std::uint64_t device_blocks = 16384;

struct Job {
  std::uint64_t completed = 0;
  std::uint64_t next = 0;
  bool stopping = false;
};

/// Seconds of the processor that this OS thread has had: others on the machine do not count.
double cpu_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

Task<> reader(Job& job, const BdevDesc& disk, const IoChannel& channel) {
  const DmaBuf buffer{blocks_per_io * 512};
  while (!job.stopping) {
    const std::uint64_t block = job.next;
    job.next = (job.next + blocks_per_io) % device_blocks;
    co_await disk.read(channel, buffer, LbaRange{Lba{block}, BlockCount{blocks_per_io}});
    ++job.completed;
  }
}

Task<> measure(std::string kind, std::size_t depth, std::chrono::seconds limit) {
  Json params = {{"name", "Disk"}, {"block_size", 512}, {"num_blocks", device_blocks}};
  auto creating = engine::Engine::current().methods()->call("bdev_" + kind + "_create", std::move(params));
  co_await std::move(creating);
  auto disk = co_await BdevDesc::open("Disk", Access::read_write);
  {
    const IoChannel channel = disk.io_channel();
    Job job;
    Scope scope;
    const double start = cpu_seconds();
    for (std::size_t i = 0; i < depth; ++i) scope.spawn(reader(job, disk, channel));
    co_await sleep_for(limit);
    const double used = cpu_seconds() - start;
    std::printf("coroutines %s depth %zu: %.1f ns of CPU per operation\n", kind.c_str(), depth,
                used * 1e9 / static_cast<double>(job.completed));
    job.stopping = true;
    co_await scope.join();
  }
  co_await disk.close();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) {
    std::fprintf(stderr, "usage: %s <null|malloc> <queue depth> <seconds> [huge]\n", argv[0]);
    return 2;
  }
  const Env env = Env::start({.name = "coroutines", .no_pci = true, .no_huge = argc == 4, .poll_mode = PollMode::busy});
  if (env.engine().methods() == nullptr) {
    std::fprintf(stderr, "the engine '%s' has no methods of its own; set SPDKIO_ENGINE=spdk\n",
                 std::string(env.engine().name()).c_str());
    return 2;
  }
  block_on(measure(argv[1], static_cast<std::size_t>(std::strtoul(argv[2], nullptr, 10)),
                   std::chrono::seconds{std::strtoul(argv[3], nullptr, 10)}));
}
