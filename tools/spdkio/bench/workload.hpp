// What a bench job does to a device, by name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spdkio::tool {

struct Workload {
  std::string_view name;
  bool random = false;
  bool reads = false;
  bool writes = false;
  /// Writes carry a pattern and reads are compared with it, also without being asked to.
  bool verifies = false;
  std::string_view meaning;
};

/// In the order of the help text.
const std::vector<Workload>& all_workloads();
std::optional<Workload> find_workload(std::string_view name);

}  // namespace spdkio::tool
