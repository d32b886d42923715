// The checks of `spdkio doctor`. Each looks at one subject and reports; none fails.
#pragma once

#include "spdkio/doctor/finding.hpp"
#include "spdkio/doctor/io_uring_probe.hpp"
#include "spdkio/system/system_root.hpp"

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace spdkio::tool {

/// Where checks look. Tests give a tree of their own and an answer for io_uring.
struct Surroundings {
  SystemRoot root;
  std::function<IoUringProbe()> probe_io_uring;
  /// Folders in which an engine module would be looked for, in that order.
  std::vector<std::string> module_folders;
  /// The spdk engine is part of this program.
  bool spdk_linked_in = false;
};

Section check_system(const Surroundings& here);
Section check_cpus(const Surroundings& here);
Section check_io_uring(const Surroundings& here);
Section check_memory(const Surroundings& here);
Section check_limits(const Surroundings& here);
Section check_vfio(const Surroundings& here);
Section check_nvme(const Surroundings& here);
Section check_engines(const Surroundings& here);

using Check = Section (*)(const Surroundings& here);
/// All checks, in the order of the output.
std::span<const Check> all_checks();

/// Effective capabilities of this process, by bit number; all of them when the kernel does not say.
bool has_capability(const SystemRoot& root, unsigned bit);

}  // namespace spdkio::tool
