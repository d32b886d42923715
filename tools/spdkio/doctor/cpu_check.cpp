
#include "spdkio/doctor/check.hpp"
#include "spdkio/system/cgroup.hpp"
#include "spdkio/system/machine_info.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace spdkio::tool {
namespace {

Finding cpus(const Surroundings& here) {
  const auto allowed = allowed_cpus(here.root);
  const auto online = parse_cpu_list(here.root.line("/sys/devices/system/cpu/online").value_or(""));
  Finding finding{.id = "cpus", .title = "CPUs"};
  finding.value =
      allowed.empty() ? "unknown" : fmt::format("{} allowed ({})", allowed.size(), format_cpu_list(allowed));
  if (online.size() > allowed.size()) finding.value += fmt::format(" of {} online", online.size());
  if (allowed.size() == 1) {
    finding.level = Level::warn;
    finding.meaning = "One reactor only; the application's own threads share its CPU.";
  }
  finding.data = {{"allowed", allowed}, {"online", online}};
  return finding;
}

Finding quota(const Surroundings& here) {
  const auto limit = cgroup_cpu_quota(here.root);
  Finding finding{.id = "cpu_quota", .title = "CPU quota"};
  finding.value = limit ? fmt::format("{:.2f} CPUs", *limit) : "none";
  finding.data["cpus"] = limit ? nlohmann::ordered_json(*limit) : nlohmann::ordered_json(nullptr);
  if (limit && *limit < static_cast<double>(allowed_cpus(here.root).size())) {
    finding.level = Level::warn;
    finding.meaning =
        "A reactor that polls uses up the quota and is then stopped for milliseconds: keep to fewer reactors than the "
        "quota, and to the adaptive poll mode.";
  }
  return finding;
}

Finding numa(const Surroundings& here) {
  const auto nodes = numa_nodes(here.root);
  Finding finding{.id = "numa", .title = "NUMA nodes"};
  finding.value = fmt::format("{}", nodes.size());
  if (nodes.size() > 1)
    finding.meaning = "Keep reactors, buffers and devices on the same node (see below for devices).";
  auto list = nlohmann::ordered_json::array();
  for (const unsigned node : nodes) {
    const std::string cpu_list =
        here.root.line(fmt::format("/sys/devices/system/node/node{}/cpulist", node)).value_or("");
    list.push_back({{"node", node}, {"cpus", parse_cpu_list(cpu_list)}});
  }
  finding.data["nodes"] = std::move(list);
  return finding;
}

bool has(const std::vector<std::string>& flags, std::string_view flag) {
  return std::find(flags.begin(), flags.end(), flag) != flags.end();
}

Finding tsc(const Surroundings& here, const std::vector<std::string>& flags) {
  const bool invariant = has(flags, "constant_tsc") && has(flags, "nonstop_tsc");
  const std::string source =
      here.root.line("/sys/devices/system/clocksource/clocksource0/current_clocksource").value_or("unknown");
  Finding finding{.id = "tsc", .title = "Time stamp counter"};
  finding.value = fmt::format("{}, the kernel's clock is {}", invariant ? "invariant" : "not invariant", source);
  finding.data = {{"invariant", invariant}, {"clocksource", source}};
  if (!invariant) {
    finding.level = Level::warn;
    finding.meaning = "Time stamps come from the kernel, about 25 ns each, instead of from the CPU.";
  }
  return finding;
}

Finding instructions(const std::vector<std::string>& flags) {
  struct Use {
    const char* flag;
    const char* purpose;
  };
  static constexpr Use uses[] = {{"sse4_2", "CRC-32C"},
                                 {"pclmulqdq", "fast CRC-32C"},
                                 {"vpclmulqdq", "faster CRC-32C"},
                                 {"avx2", "copies"},
                                 {"avx512f", "fast copies from memory"}};
  Finding finding{.id = "cpu_flags", .title = "CPU instructions"};
  std::vector<std::string> present;
  std::vector<std::string> absent;
  for (const Use& use : uses) {
    const bool found = has(flags, use.flag);
    finding.data[use.flag] = found;
    (found ? present : absent).push_back(found ? use.flag : fmt::format("{} ({})", use.flag, use.purpose));
  }
  finding.value = present.empty() ? "none of those that help" : fmt::format("{}", fmt::join(present, ", "));
  if (!has(flags, "sse4_2")) {
    finding.level = Level::warn;
    finding.meaning = "Checksums are computed by table, several times slower.";
  } else if (!absent.empty()) {
    finding.meaning = fmt::format("Not on this CPU: {}.", fmt::join(absent, ", "));
  }
  return finding;
}

Finding governor(const SystemRoot& root) {
  const auto name = root.line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  Finding finding{.id = "cpu_governor", .title = "Frequency governor"};
  finding.value = name.value_or("not under the control of this system");
  finding.data["governor"] = name ? nlohmann::ordered_json(*name) : nlohmann::ordered_json(nullptr);
  if (name && *name != "performance") {
    finding.level = Level::warn;
    finding.meaning = "The CPU slows down between bursts, so latencies after a pause are higher and results vary.";
    finding.fix = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor";
  }
  return finding;
}

}  // namespace

Section check_cpus(const Surroundings& here) {
  const auto flags = cpu_flags(here.root);
  return {"CPU", {cpus(here), quota(here), numa(here), tsc(here, flags), instructions(flags), governor(here.root)}};
}

}  // namespace spdkio::tool
