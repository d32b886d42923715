// Limits that control groups put on this process, versions 1 and 2.
#pragma once

#include "spdkio/system/system_root.hpp"

#include <cstdint>
#include <optional>

namespace spdkio::tool {

/// CPU time per time, in CPUs: 1.5 is one and a half. The tightest along the hierarchy; none when there is no limit.
std::optional<double> cgroup_cpu_quota(const SystemRoot& root);
/// Bytes; the tightest along the hierarchy.
std::optional<std::uint64_t> cgroup_memory_limit(const SystemRoot& root);

}  // namespace spdkio::tool
