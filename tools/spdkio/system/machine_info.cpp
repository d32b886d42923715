
#include "spdkio/system/machine_info.hpp"

#include <algorithm>

namespace spdkio::tool {

std::string detect_container(const SystemRoot& root) {
  // systemd and podman write the name down themselves.
  if (const auto name = root.line("/run/systemd/container"); name && !name->empty()) return *name;
  if (const auto environment = root.text("/proc/1/environ")) {
    std::string_view rest{*environment};
    while (!rest.empty()) {
      const std::string_view variable = rest.substr(0, rest.find('\0'));
      if (variable.starts_with("container=") && variable.size() > 10) return std::string{variable.substr(10)};
      rest.remove_prefix(std::min(variable.size() + 1, rest.size()));
    }
  }
  if (root.exists("/run/.containerenv")) return "podman";
  if (root.exists("/.dockerenv")) return "docker";
  for (const std::string_view path : {"/proc/1/cgroup", "/proc/self/cgroup"}) {
    const std::string groups = root.text(path).value_or("");
    for (const auto& [mark, name] :
         {std::pair{"kubepods", "kubernetes"}, std::pair{"docker", "docker"}, std::pair{"containerd", "containerd"},
          std::pair{"libpod", "podman"}, std::pair{"/lxc", "lxc"}}) {
      if (groups.find(mark) != std::string::npos) return name;
    }
  }
  return {};
}

std::vector<std::string> cpu_flags(const SystemRoot& root) {
  const std::string info = root.text("/proc/cpuinfo").value_or("");
  for (const std::string_view key : {"flags", "Features"}) {
    if (const auto flags = keyed_value(info, key)) return words(*flags);
  }
  return {};
}

bool detect_virtual_machine(const SystemRoot& root) {
  const auto flags = cpu_flags(root);
  return std::find(flags.begin(), flags.end(), "hypervisor") != flags.end() || root.exists("/sys/hypervisor/type");
}

std::vector<unsigned> allowed_cpus(const SystemRoot& root) {
  const std::string status = root.text("/proc/self/status").value_or("");
  auto cpus = parse_cpu_list(keyed_value(status, "Cpus_allowed_list").value_or(""));
  if (cpus.empty()) cpus = parse_cpu_list(root.line("/sys/devices/system/cpu/online").value_or(""));
  return cpus;
}

std::vector<unsigned> numa_nodes(const SystemRoot& root) {
  auto nodes = parse_cpu_list(root.line("/sys/devices/system/node/online").value_or(""));
  if (nodes.empty()) nodes.push_back(0);
  return nodes;
}

MachineInfo read_machine_info(const SystemRoot& root) {
  MachineInfo info;
  info.hostname = root.line("/proc/sys/kernel/hostname").value_or("");
  info.kernel = root.line("/proc/sys/kernel/osrelease").value_or("");
  for (const std::string& line : lines(root.text("/etc/os-release").value_or(""))) {
    if (!line.starts_with("PRETTY_NAME=")) continue;
    info.distribution = line.substr(12);
    std::erase(info.distribution, '"');
  }
  const std::string cpus = root.text("/proc/cpuinfo").value_or("");
  info.cpu_model = keyed_value(cpus, "model name").value_or("");
  info.cpus_allowed = allowed_cpus(root);
  info.numa_nodes = static_cast<unsigned>(numa_nodes(root).size());
  const std::string memory = keyed_value(root.text("/proc/meminfo").value_or(""), "MemTotal").value_or("");
  if (const auto parts = words(memory); !parts.empty()) {
    info.memory_bytes = parse_number(parts.front()).value_or(0) * 1024;
  }
  info.virtual_machine = detect_virtual_machine(root);
  info.container = detect_container(root);
  return info;
}

}  // namespace spdkio::tool
