
#include "spdkio/doctor/check.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace spdkio::tool {
namespace {

// Meaning and fix of a ring that could not be set up; EPERM has three causes that need different cures.
void explain_failure(const SystemRoot& root, int error, Finding& finding) {
  const std::string status = root.text("/proc/self/status").value_or("");
  const auto disabled = root.number("/proc/sys/kernel/io_uring_disabled").value_or(0);
  const bool filtered = keyed_value(status, "Seccomp").value_or("0") == "2";
  finding.meaning = "Files are served by threads with ordinary system calls, sockets by epoll: slower, same results.";
  if (error == ENOSYS) {
    finding.value = "not in this kernel";
    finding.data["cause"] = "kernel";
  } else if (disabled == 2 || (disabled == 1 && !has_capability(root, 21))) {
    finding.value = fmt::format("switched off by kernel.io_uring_disabled = {}", disabled);
    finding.fix = "sudo sysctl kernel.io_uring_disabled=0";
    finding.data["cause"] = "sysctl";
  } else if ((error == EPERM || error == EACCES) && filtered) {
    finding.value = "refused by a seccomp filter, as container runtimes install them";
    finding.fix = "docker run --security-opt seccomp=unconfined ...   # or a profile that allows io_uring_*";
    finding.data["cause"] = "seccomp";
  } else if (error == EPERM || error == EACCES) {
    finding.value = "refused by a security module (SELinux or the like)";
    finding.data["cause"] = "security_module";
  } else if (error == ENOMEM) {
    finding.value = "no memory may be locked for a ring";
    finding.fix = "sudo prlimit --pid $$ --memlock=unlimited:unlimited";
    finding.data["cause"] = "memlock";
  } else {
    finding.value = fmt::format("setting up a ring failed: {}", std::strerror(error));
    finding.data["cause"] = "other";
  }
}

Finding ring(const SystemRoot& root, const IoUringProbe& probe) {
  Finding finding{.id = "io_uring", .title = "io_uring"};
  finding.data = {{"errno", probe.setup_errno}, {"features", probe.features}};
  if (probe.setup_errno != 0) {
    finding.level = Level::missing;
    explain_failure(root, probe.setup_errno, finding);
    return finding;
  }
  finding.value = "works";
  return finding;
}

Finding modes(const IoUringProbe& probe) {
  Finding finding{.id = "io_uring_modes", .title = "io_uring modes"};
  std::vector<std::string> present;
  std::vector<std::string> absent;
  const auto add = [&](bool found, const char* name) { (found ? present : absent).emplace_back(name); };
  add(probe.single_issuer, "SINGLE_ISSUER");
  add(probe.defer_taskrun, "DEFER_TASKRUN");
  add(probe.iopoll, "IOPOLL");
  finding.data = {
      {"single_issuer", probe.single_issuer}, {"defer_taskrun", probe.defer_taskrun}, {"iopoll", probe.iopoll}};
  finding.value = present.empty() ? "none" : fmt::format("{}", fmt::join(present, ", "));
  if (!probe.defer_taskrun) {
    finding.level = Level::warn;
    finding.meaning = "Without DEFER_TASKRUN (Linux 6.1) completions interrupt the reactor; small I/O is slower.";
  }
  return finding;
}

Finding operations(const IoUringProbe& probe) {
  Finding finding{.id = "io_uring_operations", .title = "io_uring operations"};
  std::vector<std::string> absent;
  auto& list = finding.data["operations"] = nlohmann::ordered_json::object();
  const auto& wanted = wanted_io_uring_operations();
  for (const IoUringOperation& operation : wanted) {
    const bool found =
        std::find(probe.operations.begin(), probe.operations.end(), operation.opcode) != probe.operations.end();
    list[operation.name] = found;
    if (!found) absent.push_back(fmt::format("{} ({})", operation.name, operation.use));
  }
  finding.value = fmt::format("{} of the {} that are used", wanted.size() - absent.size(), wanted.size());
  if (!absent.empty()) {
    finding.level = Level::warn;
    finding.meaning = fmt::format("Not in this kernel: {}. Other ways stand in.", fmt::join(absent, ", "));
  }
  return finding;
}

Finding registered_buffers(const IoUringProbe& probe) {
  Finding finding{.id = "io_uring_buffers", .title = "Registered buffers"};
  finding.data["errno"] = probe.register_buffers_errno;
  finding.value = "work";
  if (probe.register_buffers_errno == 0) return finding;
  finding.level = Level::warn;
  finding.value = std::strerror(probe.register_buffers_errno);
  finding.meaning = "The kernel pins pages anew for every direct I/O, which costs about a microsecond each.";
  if (probe.register_buffers_errno == ENOMEM) finding.fix = "sudo prlimit --pid $$ --memlock=unlimited:unlimited";
  return finding;
}

}  // namespace

Section check_io_uring(const Surroundings& here) {
  const IoUringProbe probe = here.probe_io_uring();
  Section section{.title = "Kernel I/O"};
  section.findings.push_back(ring(here.root, probe));
  if (probe.setup_errno != 0) return section;
  section.findings.push_back(modes(probe));
  section.findings.push_back(operations(probe));
  section.findings.push_back(registered_buffers(probe));
  return section;
}

}  // namespace spdkio::tool
