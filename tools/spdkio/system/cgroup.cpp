
#include "spdkio/system/cgroup.hpp"

#include <algorithm>
#include <functional>

namespace spdkio::tool {
namespace {

// Version 1 writes "no limit" as the largest multiple of a page.
constexpr std::uint64_t no_v1_limit = std::uint64_t{1} << 60;

struct Membership {
  std::string folder;  // where the hierarchy is mounted
  std::string group;   // of this process in it, as the kernel writes it
  bool v2;
};

std::vector<Membership> memberships(const SystemRoot& root, std::string_view controller) {
  std::vector<Membership> found;
  for (const std::string& line : lines(root.text("/proc/self/cgroup").value_or(""))) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first == std::string::npos ? first : first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      found.push_back({"/sys/fs/cgroup", group, true});
      found.push_back({"/sys/fs/cgroup/unified", group, true});
    } else if (("," + controllers + ",").find("," + std::string{controller} + ",") != std::string::npos) {
      found.push_back({"/sys/fs/cgroup/" + controllers, group, false});
      found.push_back({"/sys/fs/cgroup/" + std::string{controller}, group, false});
    }
  }
  return found;
}

// Visits the group and its parents. A group that is outside of the own namespace ("/../x") is not visible here.
void for_each_group(const Membership& membership, const std::function<void(const std::string&)>& visit) {
  std::string group = membership.group;
  if (group.find("..") != std::string::npos) group.clear();
  while (true) {
    while (group.ends_with('/')) group.pop_back();
    visit(membership.folder + group);
    if (group.empty()) return;
    group.resize(group.rfind('/') == std::string::npos ? 0 : group.rfind('/'));
  }
}

template <class T>
void tighten(std::optional<T>& limit, T value) {
  limit = limit ? std::min(*limit, value) : value;
}

}  // namespace

std::optional<double> cgroup_cpu_quota(const SystemRoot& root) {
  std::optional<double> limit;
  for (const Membership& membership : memberships(root, "cpu")) {
    for_each_group(membership, [&](const std::string& folder) {
      std::optional<std::uint64_t> quota;
      std::optional<std::uint64_t> period;
      if (membership.v2) {
        const auto parts = words(root.line(folder + "/cpu.max").value_or(""));
        if (parts.size() == 2) {
          quota = parse_number(parts[0]);
          period = parse_number(parts[1]);
        }
      } else {
        quota = root.number(folder + "/cpu.cfs_quota_us");  // -1, no number here, is no limit
        period = root.number(folder + "/cpu.cfs_period_us");
      }
      if (quota && period && *period != 0) tighten(limit, static_cast<double>(*quota) / static_cast<double>(*period));
    });
  }
  return limit;
}

std::optional<std::uint64_t> cgroup_memory_limit(const SystemRoot& root) {
  std::optional<std::uint64_t> limit;
  for (const Membership& membership : memberships(root, "memory")) {
    for_each_group(membership, [&](const std::string& folder) {
      const auto bytes = root.number(folder + (membership.v2 ? "/memory.max" : "/memory.limit_in_bytes"));
      if (bytes && *bytes < no_v1_limit) tighten(limit, *bytes);
    });
  }
  return limit;
}

}  // namespace spdkio::tool
