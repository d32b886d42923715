// What a machine is, in the few words that belong into a report.
#pragma once

#include "spdkio/system/system_root.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace spdkio::tool {

/// Empty strings and zeros stand for what is not known.
struct MachineInfo {
  std::string hostname;
  std::string kernel;
  std::string distribution;
  std::string cpu_model;
  std::vector<unsigned> cpus_allowed;
  unsigned numa_nodes = 0;
  std::uint64_t memory_bytes = 0;
  bool virtual_machine = false;
  std::string container;  ///< "docker", "podman", ...; empty outside
  bool operator==(const MachineInfo&) const = default;
};

MachineInfo read_machine_info(const SystemRoot& root);

/// The container that this process runs in, empty if there is no sign of one.
std::string detect_container(const SystemRoot& root);
bool detect_virtual_machine(const SystemRoot& root);
/// CPUs that this process may run on.
std::vector<unsigned> allowed_cpus(const SystemRoot& root);
/// NUMA nodes that are online; {0} when the kernel does not say.
std::vector<unsigned> numa_nodes(const SystemRoot& root);
/// Flags of the first CPU in /proc/cpuinfo.
std::vector<std::string> cpu_flags(const SystemRoot& root);

}  // namespace spdkio::tool
