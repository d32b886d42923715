// TargetPollGroup: a poll group of SPDK's target, on a Thread of ours.
#pragma once

#include <spdkio/nvmf/host.hpp>
#include <spdkio/runtime/task.hpp>
#include <spdkio/runtime/thread.hpp>

#include <spdk/nvmf.h>

#include <cstdint>
#include <optional>
#include <string>

#include "engine_spdk/control.hpp"

namespace spdkio::spdk {

/// Its Thread is one of a reactor, or that of the target where there are none: hosts are served there, not on the OS
/// thread that acts for SPDK's app thread.
class TargetPollGroup {
 public:
  /// Without a Thread of its own it uses the current one.
  TargetPollGroup(std::string name, std::optional<Thread> thread);

  /// On the Thread of the target. Throws Error.
  Task<> open(LightThreads& threads, spdk_nvmf_tgt* target);
  Task<nvmf::PollGroupStats> stats() const;
  /// As SPDK's app thread: connections that it accepted before are closed as well. False: the Thread has gone without
  /// it, and what it had there stays.
  Task<bool> close(Control& control);
  /// Ends a Thread of its own; on the Thread of the target.
  Task<> end_thread();

 private:
  const std::string name_;
  std::optional<Thread> owned_thread_;
  const ThreadHandle handle_;
  LightThreads* threads_ = nullptr;
  std::uint64_t spdk_thread_id_ = 0;
  spdk_nvmf_poll_group* group_ = nullptr;
};

}  // namespace spdkio::spdk
