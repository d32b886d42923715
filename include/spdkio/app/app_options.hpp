// What an application is started with.
#pragma once

#include <spdkio/engine/options.hpp>

#include <chrono>
#include <cstddef>
#include <string>

namespace spdkio {

/// Options of App; the names follow SPDK's `spdk_app_opts`. Those that EnvOptions has too mean the same there.
struct AppOptions {
  /// Shows in logs, lists and the names of OS threads.
  std::string name = "spdkio";
  /// Path of a JSON configuration file in SPDK's format: `{"subsystems": [{"subsystem": "bdev", "config": [...]}]}`.
  std::string config_file{};
  /// The same as text; one of the two.
  std::string json_data{};
  /// Cores to put reactors on: "0x3", "[0,2-4]" or "0-3". Empty: one reactor, which the kernel may move.
  std::string reactor_mask{};
  /// The core of the main reactor; negative: the lowest.
  int main_core = -1;
  /// Where the JSON-RPC server listens: the path of a Unix socket, or `127.0.0.1:port`. Empty: there is none.
  std::string rpc_addr{};
  /// Run the start-up methods only, then wait for the RPC `framework_start_init` before the rest of the configuration
  /// and `main`. Needs `rpc_addr`.
  bool wait_for_rpc = false;
  /// MiB of DMA memory to reserve from the start; 0: only what is used.
  std::size_t mem_size_mb = 0;
  int shm_id = -1;
  bool no_pci = false;
  bool no_huge = false;
  PollMode poll_mode = PollMode::adaptive;
  /// How long an adaptive reactor polls on after its last work.
  std::chrono::microseconds idle_spin{50};
  /// Where metrics are served over HTTP for Prometheus, at /metrics: `127.0.0.1:port`, `[::1]:port` or the path of a
  /// Unix socket. Empty: nowhere; the RPC `metrics_start` can still begin.
  std::string metrics_addr{};
  /// Also addresses that other machines reach; there is no authentication.
  bool metrics_allow_remote = false;
  /// A piece of work, one turn of a task or one call of a poller, that holds its Thread longer than this is counted and
  /// named in the log, in `thread_get_stalls` and in the metrics. An OS thread of its own looks twice in this time.
  /// 0: nobody watches; the RPC `thread_set_stall_limit` can still begin.
  std::chrono::microseconds stall_limit{0};
  /// "embedded" or "spdk"; empty: the environment variable SPDKIO_ENGINE, or else "embedded".
  std::string engine{};
  /// SIGINT and SIGTERM ask the application to stop; the second one ends the process at once. Off: they are left to the
  /// program, which calls App::request_stop.
  bool handle_signals = true;
};

}  // namespace spdkio
