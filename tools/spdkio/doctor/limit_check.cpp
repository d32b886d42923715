
#include "spdkio/doctor/check.hpp"

#include <spdkio/base/byte_size.hpp>

#include <fmt/format.h>

#include <limits>
#include <optional>

namespace spdkio::tool {
namespace {

constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t enough_memlock = std::uint64_t{1} << 30;
constexpr std::uint64_t enough_files = 4096;
constexpr unsigned cap_ipc_lock = 14;
constexpr unsigned cap_sys_rawio = 17;
constexpr unsigned cap_sys_admin = 21;

struct Limit {
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;
};

std::optional<Limit> read_limit(const SystemRoot& root, std::string_view name) {
  for (const std::string& line : lines(root.text("/proc/self/limits").value_or(""))) {
    if (!line.starts_with(name)) continue;
    const auto fields = words(std::string_view{line}.substr(name.size()));
    if (fields.size() < 2) return std::nullopt;
    const auto value = [](const std::string& text) -> std::optional<std::uint64_t> {
      return text == "unlimited" ? std::optional{unlimited} : parse_number(text);
    };
    const auto soft = value(fields[0]);
    const auto hard = value(fields[1]);
    if (soft && hard) return Limit{*soft, *hard};
  }
  return std::nullopt;
}

nlohmann::ordered_json limit_json(const std::optional<Limit>& limit) {
  if (!limit) return nullptr;
  const auto value = [](std::uint64_t n) {
    return n == unlimited ? nlohmann::ordered_json("unlimited") : nlohmann::ordered_json(n);
  };
  return {{"soft", value(limit->soft)}, {"hard", value(limit->hard)}};
}

Finding memlock(const SystemRoot& root) {
  const auto limit = read_limit(root, "Max locked memory");
  const bool exempt = has_capability(root, cap_ipc_lock);
  Finding finding{.id = "memlock", .title = "RLIMIT_MEMLOCK"};
  finding.data = limit_json(limit);
  if (!limit) {
    finding.level = Level::warn;
    finding.value = "unknown";
    return finding;
  }
  finding.value = limit->soft == unlimited ? "unlimited" : format_bytes(ByteCount{limit->soft});
  if (limit->soft == unlimited || limit->soft >= enough_memlock) return finding;
  if (exempt) {
    finding.meaning = "Does not bind this process, which has CAP_IPC_LOCK.";
    return finding;
  }
  finding.level = Level::warn;
  finding.meaning = "Buffers beyond it cannot be registered with io_uring nor mapped for NVMe devices.";
  finding.fix = limit->hard == unlimited ? "ulimit -l unlimited"
                                         : "sudo prlimit --pid $$ --memlock=unlimited:unlimited   # this shell";
  return finding;
}

Finding open_files(const SystemRoot& root) {
  const auto limit = read_limit(root, "Max open files");
  Finding finding{.id = "nofile", .title = "RLIMIT_NOFILE"};
  finding.data = limit_json(limit);
  if (!limit) {
    finding.level = Level::warn;
    finding.value = "unknown";
    return finding;
  }
  finding.value = limit->soft == unlimited ? "unlimited" : fmt::format("{}", limit->soft);
  if (limit->soft >= enough_files) return finding;
  finding.level = Level::warn;
  finding.meaning = "A target with many connections or a process with many files runs out of descriptors.";
  finding.fix = limit->hard >= 65536 ? "ulimit -n 65536" : "sudo prlimit --pid $$ --nofile=65536:65536   # this shell";
  return finding;
}

Finding capability(const SystemRoot& root, unsigned bit, std::string id, std::string title, std::string use) {
  Finding finding{.id = std::move(id), .title = std::move(title)};
  const bool held = has_capability(root, bit);
  finding.data["held"] = held;
  finding.value = held ? "held" : "not held";
  if (!held) {
    finding.level = Level::warn;
    finding.meaning = std::move(use);
  }
  return finding;
}

}  // namespace

bool has_capability(const SystemRoot& root, unsigned bit) {
  const auto effective = keyed_value(root.text("/proc/self/status").value_or(""), "CapEff");
  if (!effective) return true;
  const auto mask = parse_number("0x" + *effective);
  return !mask || (*mask >> bit & 1) != 0;
}

Section check_limits(const Surroundings& here) {
  return {"Limits and rights",
          {memlock(here.root), open_files(here.root),
           capability(here.root, cap_ipc_lock, "cap_ipc_lock", "CAP_IPC_LOCK",
                      "RLIMIT_MEMLOCK binds this process. Fine as long as that limit is high enough."),
           capability(here.root, cap_sys_admin, "cap_sys_admin", "CAP_SYS_ADMIN",
                      "Devices cannot be bound to vfio-pci from this process. Nothing else needs it."),
           capability(here.root, cap_sys_rawio, "cap_sys_rawio", "CAP_SYS_RAWIO",
                      "VFIO without an IOMMU needs it. Nothing else does.")}};
}

}  // namespace spdkio::tool
