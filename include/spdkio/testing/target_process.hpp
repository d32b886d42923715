// TargetProcess: `spdkio serve` as a subprocess, for tests of programs that speak NVMe over TCP.
#pragma once

#include <spdkio/base/unique_fd.hpp>
#include <spdkio/nvme/transport_id.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace spdkio::testing {

struct TargetProcessOptions {
  /// As on the command line of `spdkio serve`: "malloc:64MiB", "/tmp/disk.img".
  std::vector<std::string> devices{"malloc:64MiB"};
  /// The subsystem's name.
  std::string nqn = "nqn.2026-11.io.spdkio:test-target";
  /// Where it listens; 0: the kernel chooses.
  std::uint16_t port = 0;
  /// Further arguments, as they are.
  std::vector<std::string> arguments{};
  /// The program; empty: the environment variable SPDKIO_PROGRAM, or else `spdkio` of PATH.
  std::string program{};
  /// How long it may take to be ready, and to end.
  std::chrono::milliseconds limit{10000};
};

/// A target that listens on 127.0.0.1 from `start` to the end of the object. It dies with the process that started it.
/// Move-only; blocks the calling OS thread, so not for tasks.
class TargetProcess {
 public:
  /// Returns when hosts can connect. Throws Error that says what the program wrote when it did not get there.
  static TargetProcess start(TargetProcessOptions options = {});
  TargetProcess(TargetProcess&& other) noexcept;
  TargetProcess& operator=(TargetProcess&& other) noexcept;
  /// Stops it, if need be with force.
  ~TargetProcess();

  /// Of the first subsystem, for `nvme::Controller::connect`.
  const nvme::TransportId& transport_id() const noexcept { return transport_id_; }
  std::uint16_t port() const noexcept { return transport_id_.port(); }
  int pid() const noexcept { return pid_; }
  bool running() const noexcept;

  /// Asks it to end and waits; gives its exit code, or the negative number of the signal that ended it. Throws
  /// Error(timed_out) after having killed it. Does nothing the second time.
  int stop();
  /// Ends it at once, as a crash would: no goodbye to hosts.
  void kill();
  /// Starts it again on the same port, after `stop` or `kill`. What was in RAM disks is gone.
  void restart();

 private:
  TargetProcess() = default;
  void launch();
  int wait_for_end(std::chrono::milliseconds limit);

  TargetProcessOptions options_;
  int pid_ = -1;
  int exit_code_ = 0;
  UniqueFd output_;
  nvme::TransportId transport_id_;
};

}  // namespace spdkio::testing
