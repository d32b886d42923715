
#include "spdkio/doctor/check.hpp"
#include "spdkio/system/cgroup.hpp"
#include "spdkio/system/machine_info.hpp"

#include <spdkio/base/byte_size.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>

namespace spdkio::tool {
namespace {

struct PagePool {
  std::uint64_t page_bytes = 0;
  std::uint64_t total = 0;
  std::uint64_t free = 0;
};

// Folders are named hugepages-2048kB.
std::optional<std::uint64_t> page_size_of(std::string_view folder) {
  constexpr std::string_view prefix = "hugepages-";
  if (!folder.starts_with(prefix) || !folder.ends_with("kB")) return std::nullopt;
  const auto kib = parse_number(folder.substr(prefix.size(), folder.size() - prefix.size() - 2));
  return kib ? std::optional{*kib * 1024} : std::nullopt;
}

std::vector<PagePool> read_pools(const SystemRoot& root, const std::string& folder) {
  std::vector<PagePool> pools;
  for (const std::string& name : root.names(folder)) {
    const auto size = page_size_of(name);
    if (!size) continue;
    pools.push_back({*size, root.number(folder + "/" + name + "/nr_hugepages").value_or(0),
                     root.number(folder + "/" + name + "/free_hugepages").value_or(0)});
  }
  return pools;
}

nlohmann::ordered_json pools_json(const std::vector<PagePool>& pools) {
  auto list = nlohmann::ordered_json::array();
  for (const PagePool& pool : pools) {
    list.push_back({{"page_bytes", pool.page_bytes}, {"total", pool.total}, {"free", pool.free}});
  }
  return list;
}

Finding hugepages(const SystemRoot& root) {
  const auto pools = read_pools(root, "/sys/kernel/mm/hugepages");
  Finding finding{.id = "hugepages", .title = "Hugepages"};
  finding.data["pools"] = pools_json(pools);
  std::vector<std::string> parts;
  std::uint64_t total_free = 0;
  std::uint64_t total = 0;
  for (const PagePool& pool : pools) {
    total += pool.total;
    total_free += pool.free;
    if (pool.total != 0) {
      parts.push_back(fmt::format("{} x {}, {} free", pool.total, format_bytes(ByteCount{pool.page_bytes}), pool.free));
    }
  }

  auto nodes = nlohmann::ordered_json::array();
  std::vector<std::string> per_node;
  for (const unsigned node : numa_nodes(root)) {
    const auto here = read_pools(root, fmt::format("/sys/devices/system/node/node{}/hugepages", node));
    nodes.push_back({{"node", node}, {"pools", pools_json(here)}});
    std::uint64_t free_bytes = 0;
    for (const PagePool& pool : here) free_bytes += pool.free * pool.page_bytes;
    per_node.push_back(fmt::format("node {}: {} free", node, format_bytes(ByteCount{free_bytes})));
  }
  finding.data["nodes"] = std::move(nodes);

  constexpr const char* reserve = "echo 1024 | sudo tee /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
  if (pools.empty()) {
    finding.level = Level::warn;
    finding.value = "not in this kernel";
    finding.meaning = "Buffers come from ordinary memory. The engine spdk needs hugepages unless no_huge is set.";
  } else if (total == 0) {
    finding.level = Level::warn;
    finding.value = "none reserved";
    finding.meaning =
        "Buffers come from ordinary memory: all works, with more TLB misses. The engine spdk needs hugepages unless "
        "no_huge is set.";
    finding.fix = reserve;
  } else if (total_free == 0) {
    finding.level = Level::warn;
    finding.value = fmt::format("{}", fmt::join(parts, "; "));
    finding.meaning = "All are taken, perhaps by a program that ended badly and left files in a hugetlbfs.";
    finding.fix = "sudo fuser -v /dev/hugepages/*   # nobody listed: the files can be removed";
  } else {
    finding.value = fmt::format("{}", fmt::join(parts, "; "));
    if (per_node.size() > 1) finding.value += fmt::format(" ({})", fmt::join(per_node, ", "));
  }
  return finding;
}

Finding hugetlbfs(const SystemRoot& root) {
  Finding finding{.id = "hugetlbfs", .title = "hugetlbfs"};
  auto mounts = nlohmann::ordered_json::array();
  std::vector<std::string> places;
  for (const std::string& line : lines(root.text("/proc/self/mounts").value_or(""))) {
    const auto fields = words(line);
    if (fields.size() < 4 || fields[2] != "hugetlbfs") continue;
    places.push_back(fields[1]);
    mounts.push_back({{"path", fields[1]}, {"options", fields[3]}});
  }
  finding.data["mounts"] = std::move(mounts);
  if (places.empty()) {
    finding.level = Level::warn;
    finding.value = "not mounted";
    finding.meaning = "Only the engine spdk needs it, and hugepages that several processes share.";
    finding.fix = "sudo mkdir -p /dev/hugepages && sudo mount -t hugetlbfs nodev /dev/hugepages";
  } else {
    finding.value = fmt::format("mounted on {}", fmt::join(places, ", "));
  }
  return finding;
}

Finding memory(const SystemRoot& root) {
  const std::string info = root.text("/proc/meminfo").value_or("");
  const auto kib = [&](const char* key) {
    const auto parts = words(keyed_value(info, key).value_or(""));
    return parts.empty() ? 0 : parse_number(parts.front()).value_or(0) * 1024;
  };
  const std::uint64_t total = kib("MemTotal");
  const std::uint64_t available = kib("MemAvailable");
  Finding finding{.id = "memory", .title = "Memory"};
  finding.value =
      total == 0 ? "unknown"
                 : fmt::format("{}, {} available", format_bytes(ByteCount{total}), format_bytes(ByteCount{available}));
  finding.data = {{"total_bytes", total}, {"available_bytes", available}};
  return finding;
}

Finding memory_limit(const SystemRoot& root) {
  const auto limit = cgroup_memory_limit(root);
  Finding finding{.id = "memory_limit", .title = "Memory limit"};
  finding.value = limit ? format_bytes(ByteCount{*limit}) : "none";
  finding.data["bytes"] = limit ? nlohmann::ordered_json(*limit) : nlohmann::ordered_json(nullptr);
  if (limit) finding.meaning = "By the control group; malloc devices and buffers count towards it.";
  return finding;
}

Finding transparent_hugepages(const SystemRoot& root) {
  Finding finding{.id = "thp", .title = "Transparent hugepages"};
  const std::string line = root.line("/sys/kernel/mm/transparent_hugepage/enabled").value_or("");
  const std::size_t open = line.find('[');
  const std::size_t close = line.find(']');
  const bool known = open != std::string::npos && close != std::string::npos && close > open;
  const std::string mode = known ? line.substr(open + 1, close - open - 1) : "unknown";
  finding.value = mode;
  finding.data["mode"] = mode;
  if (mode == "never") {
    finding.level = Level::warn;
    finding.meaning = "Without reserved hugepages, large malloc devices suffer from TLB misses.";
    finding.fix = "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled";
  }
  return finding;
}

}  // namespace

Section check_memory(const Surroundings& here) {
  return {"Memory",
          {memory(here.root), memory_limit(here.root), hugepages(here.root), hugetlbfs(here.root),
           transparent_hugepages(here.root)}};
}

}  // namespace spdkio::tool
