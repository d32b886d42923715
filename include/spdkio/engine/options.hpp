// What an environment is started with.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace spdkio {

/// What a reactor does when it has nothing to do.
enum class PollMode : std::uint8_t {
  busy,      ///< polls for ever: lowest latency, one full core each
  adaptive,  ///< polls for `idle_spin` after the last work, then sleeps until something happens
  interrupt  ///< sleeps at once
};

std::string_view to_string(PollMode) noexcept;
/// "busy", "adaptive" or "interrupt"; empty for anything else.
std::optional<PollMode> poll_mode_from(std::string_view text) noexcept;

/// Options of Env, and the machine part of AppOptions. The names follow SPDK's `spdk_env_opts` and `spdk_app_opts`.
struct EnvOptions {
  /// Shows in logs, lists and the names of OS threads.
  std::string name = "spdkio";
  /// Cores to put reactors on, as SPDK writes it: "0x3", "[0,2-4]", or "0-3". Empty: the first allowed core.
  std::string core_mask{};
  /// The core of the main reactor, one of `core_mask`; negative: the lowest.
  int main_core = -1;
  /// Bytes of DMA memory to hold in reserve from the start; more is taken when needed, from hugepages as long as some
  /// are free and then from ordinary memory. 0: only what is used.
  std::size_t mem_size = 0;
  /// DMA memory is made of shared memory files that bear this id, which other processes may open and map themselves;
  /// nothing is allocated in common. Negative: private memory.
  int shm_id = -1;
  /// Do not touch PCI devices.
  bool no_pci = false;
  /// Ordinary memory even where hugepages are free. Without it hugepages are tried first and their lack is one log
  /// line.
  bool no_huge = false;
  PollMode poll_mode = PollMode::adaptive;
  /// How long an adaptive reactor polls on after its last work.
  std::chrono::microseconds idle_spin{50};
  /// "embedded" or "spdk"; empty: the environment variable SPDKIO_ENGINE, or else "embedded".
  std::string engine{};
  /// Start a reactor on every core of the mask, each with an OS thread of its own. Off: no reactors; the program
  /// attaches its own OS threads with Thread::attach. App sets it.
  bool reactors = false;
};

}  // namespace spdkio
