#include "engine_spdk/environment.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>

#include <fmt/format.h>

#include <spdk/env.h>
#include <spdk/version.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <fstream>
#include <mutex>
#include <optional>
#include <string>

#include "engine_spdk/memory.hpp"
#include "engine_spdk/spdk_log.hpp"

namespace spdkio::spdk {
namespace {

/// Enough for SPDK's own pools at their defaults (about 210 MiB) and some buffers; without hugepages it is reserved,
/// not touched, until it is used.
constexpr std::size_t default_mem_size = std::size_t{512} << 20;

struct Started {
  bool no_huge;
  bool no_pci;
  int shm_id;
  std::size_t mem_size;
  std::string cores;
};

std::mutex start_mutex;
std::optional<Started> started;

std::size_t free_hugepages() {
  std::ifstream file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
  std::size_t count = 0;
  file >> count;
  return count;
}

void check_restart(const EnvOptions& options, const std::string& cores) {
  const auto refuse = [](const std::string& what) {
    throw Error(Misuse::already_started, "SPDK's environment runs in this process with other options: " + what)
        .with_operation("spdk_env_init")
        .with_hint("DPDK starts once per process; give the same options, or use another process");
  };
  if (options.mem_size > started->mem_size) refuse(fmt::format("mem_size was {}", started->mem_size));
  if (options.no_huge && !started->no_huge) refuse("it has hugepages");
  if (options.no_pci && !started->no_pci) refuse("it has touched PCI devices");
  if (options.shm_id != started->shm_id) refuse(fmt::format("shm_id was {}", started->shm_id));
  if (cores != started->cores) log::debug("SPDK's lcores stay on {}", started->cores);
}

}  // namespace

static_assert(SPDK_VERSION >= SPDK_VERSION_NUM(24, 9, 0), "the engine needs SPDK 24.09 or newer");

std::string spdk_version() { return fmt::format("{}.{:02}", SPDK_VERSION_MAJOR, SPDK_VERSION_MINOR); }

void start_environment(const EnvOptions& options, const embedded::CoreChoice& choice) {
  const std::lock_guard lock(start_mutex);
  const std::string cores = choice.cores.to_list_string();
  if (started) {
    check_restart(options, cores);
    return;
  }
  redirect_log();

  const std::size_t mem_size = options.mem_size == 0 ? default_mem_size : options.mem_size;
  const std::size_t pages = free_hugepages();
  const bool no_huge = options.no_huge || pages * (std::size_t{2} << 20) < mem_size;
  if (no_huge && !options.no_huge) {
    log::info("SPDK runs on ordinary memory: {} of {} hugepages of 2 MiB are free", pages,
              (mem_size + (std::size_t{2} << 20) - 1) >> 21);
  }

  spdk_env_opts opts{};
  opts.opts_size = sizeof opts;
  ::spdk_env_opts_init(&opts);
  opts.name = options.name.c_str();
  opts.core_mask = cores.c_str();  // "[0,2-4]", as SPDK has it
  opts.main_core = static_cast<int>(choice.main_core);
  opts.shm_id = options.shm_id;
  opts.mem_size = static_cast<int>(mem_size >> 20);
  opts.no_huge = no_huge;
  opts.no_pci = options.no_pci;
  if (no_huge) opts.iova_mode = "va";

  const int rc = ::spdk_env_init(&opts);
  if (rc != 0) {
    throw Error::from_errno(-rc, "SPDK's environment does not start")
        .with_operation("spdk_env_init")
        .with_hint("its log lines above say why; without hugepages set no_huge");
  }
  started = Started{no_huge, options.no_pci, options.shm_id, mem_size, cores};
  SpdkMemory::instance().set_environment(
      !no_huge, mem_size,
      fmt::format("SPDK {}, {} MiB of {}", spdk_version(), mem_size >> 20, no_huge ? "ordinary memory" : "hugepages"));
}

}  // namespace spdkio::spdk
