#include "nvmf/poll_cores.hpp"

#include <spdkio/base/cpu_set.hpp>
#include <spdkio/base/error.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <fmt/format.h>

namespace spdkio::nvmf {

std::vector<CoreId> poll_cores(const std::string& mask) {
  if (spdkio::detail::CoreHost::current() == nullptr || Cores::count() == 0) return {};
  std::vector<CoreId> cores = Cores::all();
  if (mask.empty()) return cores;
  const CpuSet wanted = CpuSet::parse(mask);
  std::erase_if(cores, [&wanted](CoreId core) { return !wanted.contains(static_cast<unsigned>(core)); });
  if (cores.empty()) {
    throw Error(Misuse::invalid_argument, fmt::format("no reactor runs on a core of '{}'", mask))
        .with_operation("Target::create");
  }
  return cores;
}

}  // namespace spdkio::nvmf
