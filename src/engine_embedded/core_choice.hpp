// Which cores the reactors of an environment go to.
#pragma once

#include <spdkio/base/cpu_set.hpp>
#include <spdkio/engine/options.hpp>

namespace spdkio::embedded {

struct CoreChoice {
  CpuSet cores;
  unsigned main_core = 0;
  /// False when the program named no cores: its one reactor may then run wherever the program may, so that programs
  /// that were started side by side without a mask do not share the first core.
  bool pinned = false;
};

/// Throws Misuse::invalid_argument naming the cores that this process can't use, and why.
CoreChoice choose_cores(const EnvOptions& options, const CpuSet& online, const CpuSet& allowed);

}  // namespace spdkio::embedded
