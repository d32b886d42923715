#include "engine_embedded/core_choice.hpp"

#include <spdkio/base/error.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace spdkio::embedded {
namespace {

Error refuse(const EnvOptions& options, std::string why) {
  return Error(Misuse::invalid_argument, fmt::format("core mask '{}': {}", options.core_mask, why));
}

const char* plural(const CpuSet& cores) { return cores.count() == 1 ? "core" : "cores"; }

CpuSet read_mask(const EnvOptions& options) {
  try {
    return CpuSet::parse(options.core_mask);
  } catch (const Error& error) {
    throw refuse(options, error.message()).with_hint("write a mask as 0x3, or a list as [0,2-4]");
  }
}

}  // namespace

CoreChoice choose_cores(const EnvOptions& options, const CpuSet& online, const CpuSet& allowed) {
  CoreChoice choice;
  if (options.core_mask.empty()) {
    const auto first = options.main_core >= 0 ? static_cast<unsigned>(options.main_core) : allowed.first().value_or(0);
    if (!allowed.contains(first)) {
      throw Error(Misuse::invalid_argument,
                  fmt::format("main core {}: this process may run on {} only", first, allowed.to_list_string()));
    }
    choice.cores.add(first);
    choice.main_core = first;
    choice.pinned = options.main_core >= 0;
    return choice;
  }

  choice.cores = read_mask(options);
  if (choice.cores.empty()) throw refuse(options, "it names no core");
  if (const CpuSet missing = choice.cores - online; !missing.empty()) {
    throw refuse(options, fmt::format("{} {} not online; this machine has {}", plural(missing),
                                      missing.to_list_string(), online.to_list_string()));
  }
  if (const CpuSet forbidden = choice.cores - allowed; !forbidden.empty()) {
    throw refuse(options, fmt::format("this process may not run on {} {}, only on {}", plural(forbidden),
                                      forbidden.to_list_string(), allowed.to_list_string()))
        .with_hint("see taskset(1), or the cpuset of the container");
  }
  choice.main_core = options.main_core >= 0 ? static_cast<unsigned>(options.main_core) : *choice.cores.first();
  if (!choice.cores.contains(choice.main_core)) {
    throw refuse(options, fmt::format("the main core {} is not in it", choice.main_core));
  }
  choice.pinned = true;
  return choice;
}

}  // namespace spdkio::embedded
