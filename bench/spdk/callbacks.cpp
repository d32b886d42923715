// The loop of coroutines.cpp written against SPDK's C callbacks: what the engine is compared with. Nothing of this
// library.
//
//   bench_spdk_callbacks <null|malloc> <queue depth> <seconds> [huge]        huge: on hugepages
#include <spdk/bdev.h>
#include <spdk/env.h>
#include <spdk/init.h>
#include <spdk/log.h>
#include <spdk/rpc.h>
#include <spdk/thread.h>

#include <sched.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

namespace {

constexpr std::uint64_t blocks_per_io = 8;
constexpr std::uint64_t block_size = 512;
constexpr std::uint64_t device_blocks = 16384;

struct Job {
  spdk_bdev_desc* descriptor = nullptr;
  spdk_io_channel* channel = nullptr;
  std::uint64_t completed = 0;
  std::uint64_t next = 0;
  std::uint64_t in_flight = 0;
  bool stopping = false;
  bool failed = false;
};
Job job;

void submit(void* buffer);

void on_done(spdk_bdev_io* io, bool success, void* buffer) {
  spdk_bdev_free_io(io);
  --job.in_flight;
  ++job.completed;
  job.failed |= !success;
  if (!job.stopping) submit(buffer);
}

void submit(void* buffer) {
  const std::uint64_t block = job.next;
  job.next = (job.next + blocks_per_io) % device_blocks;
  ++job.in_flight;
  if (spdk_bdev_read_blocks(job.descriptor, job.channel, buffer, block, blocks_per_io, on_done, buffer) != 0) {
    job.failed = true;
    --job.in_flight;
  }
}

/// All that SPDK has: its target makes one for its poll group.
std::vector<spdk_thread*> threads;

void poll_until(const bool& done) {
  while (!done) {
    for (std::size_t i = 0; i < threads.size(); ++i) spdk_thread_poll(threads[i], 0, 0);
  }
}

/// Seconds of the processor that this OS thread has had: others on the machine do not count.
double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) {
    std::fprintf(stderr, "usage: %s <null|malloc> <queue depth> <seconds> [huge]\n", argv[0]);
    return 2;
  }
  const std::string kind = argv[1];
  const auto depth = static_cast<std::size_t>(std::strtoul(argv[2], nullptr, 10));
  const std::uint64_t seconds = std::strtoul(argv[3], nullptr, 10);

  const bool no_huge = argc == 4;

  const std::string core = "[" + std::to_string(sched_getcpu()) + "]";
  spdk_env_opts options{};
  options.opts_size = sizeof options;
  spdk_env_opts_init(&options);
  options.name = "callbacks";
  options.core_mask = core.c_str();
  options.mem_size = 512;
  options.no_huge = no_huge;
  options.no_pci = true;
  options.iova_mode = "va";
  spdk_log_set_print_level(SPDK_LOG_ERROR);
  if (spdk_env_init(&options) != 0) return 1;
  const auto on_new_thread = [](spdk_thread* made) {
    threads.push_back(made);
    return 0;
  };
  if (spdk_thread_lib_init(on_new_thread, 0) != 0) return 1;
  spdk_thread* const thread = spdk_thread_create("app", nullptr);
  spdk_set_thread(thread);

  bool done = false;
  const auto finished = [](int rc, void* flag) {
    if (rc != 0) std::exit(1);
    *static_cast<bool*>(flag) = true;
  };
  spdk_subsystem_init(finished, &done);
  poll_until(done);
  const std::string config = R"({"subsystems":[{"subsystem":"bdev","config":[{"method":"bdev_)" + kind +
                             R"(_create","params":{"name":"Disk","block_size":512,"num_blocks":16384}}]}]})";
  done = false;
  spdk_rpc_set_state(SPDK_RPC_RUNTIME);
  // Its parser works in the text it is given.
  std::vector<char> text(config.begin(), config.end());
  spdk_subsystem_load_config(text.data(), static_cast<ssize_t>(text.size()), finished, &done, true);
  poll_until(done);

  const auto ignore = [](spdk_bdev_event_type, spdk_bdev*, void*) {};
  if (spdk_bdev_open_ext("Disk", true, ignore, nullptr, &job.descriptor) != 0) return 1;
  job.channel = spdk_bdev_get_io_channel(job.descriptor);

  const double cpu_start = cpu_seconds();
  const std::uint64_t start = spdk_get_ticks();
  const std::uint64_t end = start + seconds * spdk_get_ticks_hz();
  for (std::size_t i = 0; i < depth; ++i) {
    submit(spdk_zmalloc(blocks_per_io * block_size, 4096, nullptr, SPDK_ENV_NUMA_ID_ANY, SPDK_MALLOC_DMA));
  }
  std::uint64_t now = start;
  while (now < end && !job.failed) {
    for (int i = 0; i < 64; ++i) spdk_thread_poll(thread, 0, 0);
    now = spdk_get_ticks();
  }
  const double used = cpu_seconds() - cpu_start;
  std::printf("callbacks %s depth %zu: %.1f ns of CPU per operation\n", kind.c_str(), depth,
              used * 1e9 / static_cast<double>(job.completed));
  job.stopping = true;
  while (job.in_flight > 0) spdk_thread_poll(thread, 0, 0);
  std::fflush(stdout);
  std::_Exit(job.failed ? 1 : 0);  // the measurement is over; the engine's tests are about ends
}
