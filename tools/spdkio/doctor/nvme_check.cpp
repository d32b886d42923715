
#include "spdkio/doctor/check.hpp"
#include "spdkio/terminal/terminal.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace spdkio::tool {
namespace {

// PCI class code of NVM Express controllers: mass storage, non-volatile memory, NVMe.
constexpr std::uint64_t nvme_class = 0x010802;

struct Device {
  std::string address;  // 0000:01:00.0
  std::string vendor;
  std::string device;
  std::string model;
  std::string driver;
  std::string iommu_group;
  std::string numa_node;
  std::vector<std::string> disks;  // nvme0n1
  std::vector<std::string> uses;   // "/ (nvme0n1p2)"
};

// With multipath the device under the controller is nvme0c0n1 and the disk that people use nvme0n1.
std::string disk_name(const std::string& name) {
  const std::size_t c = name.find('c');
  const std::size_t n = name.find('n', c == std::string::npos ? 4 : c);
  if (c == std::string::npos || n == std::string::npos) return name;
  return name.substr(0, c) + name.substr(n);
}

bool belongs_to(std::string_view node, const std::string& disk) {
  if (!node.starts_with(disk)) return false;
  const std::string_view rest = node.substr(disk.size());
  return rest.empty() || rest.front() == 'p';
}

void find_uses(const SystemRoot& root, Device& device) {
  for (const std::string& disk : device.disks) {
    for (const std::string& line : lines(root.text("/proc/self/mounts").value_or(""))) {
      const auto fields = words(line);
      if (fields.size() < 2 || !fields[0].starts_with("/dev/")) continue;
      const std::string node = fields[0].substr(5);
      if (belongs_to(node, disk)) device.uses.push_back(fmt::format("mounted on {} ({})", fields[1], node));
    }
    for (const std::string& line : lines(root.text("/proc/swaps").value_or(""))) {
      const auto fields = words(line);
      if (fields.empty() || !fields[0].starts_with("/dev/")) continue;
      const std::string node = fields[0].substr(5);
      if (belongs_to(node, disk)) device.uses.push_back(fmt::format("swap ({})", node));
    }
    std::vector<std::string> nodes{disk};
    for (const std::string& name : root.names("/sys/block/" + disk)) {
      if (name != disk && belongs_to(name, disk)) nodes.push_back(disk + "/" + name);
    }
    for (const std::string& node : nodes) {
      for (const std::string& holder : root.names(fmt::format("/sys/block/{}/holders", node))) {
        device.uses.push_back(fmt::format("part of {} ({})", holder, node.substr(node.rfind('/') + 1)));
      }
    }
  }
}

std::vector<Device> find_devices(const SystemRoot& root) {
  std::vector<Device> devices;
  for (const std::string& address : root.names("/sys/bus/pci/devices")) {
    const std::string folder = "/sys/bus/pci/devices/" + address;
    if (root.number(folder + "/class") != nvme_class) continue;
    Device device{.address = address};
    device.vendor = root.line(folder + "/vendor").value_or("");
    device.device = root.line(folder + "/device").value_or("");
    device.driver = root.link_name(folder + "/driver").value_or("");
    device.iommu_group = root.link_name(folder + "/iommu_group").value_or("");
    device.numa_node = root.line(folder + "/numa_node").value_or("-1");
    for (const std::string& controller : root.names(folder + "/nvme")) {
      const std::string controller_folder = folder + "/nvme/" + controller;
      device.model = printable(root.line(controller_folder + "/model").value_or(""));
      for (const std::string& name : root.names(controller_folder)) {
        if (!name.starts_with(controller + "n") && !name.starts_with(controller + "c")) continue;
        if (!root.exists(controller_folder + "/" + name + "/size")) continue;
        device.disks.push_back(disk_name(name));
      }
    }
    find_uses(root, device);
    devices.push_back(std::move(device));
  }
  return devices;
}

std::string bind_command(const std::string& address) {
  const std::string folder = "/sys/bus/pci/devices/" + address;
  return fmt::format(
      "echo vfio-pci | sudo tee {0}/driver_override && echo {1} | sudo tee {0}/driver/unbind; "
      "echo {1} | sudo tee /sys/bus/pci/drivers_probe",
      folder, address);
}

void judge(const SystemRoot& root, const Device& device, Finding& finding) {
  if (device.driver == "vfio-pci") {
    const bool guarded = !root.exists(fmt::format("/dev/vfio/noiommu-{}", device.iommu_group));
    const std::string node = fmt::format("/dev/vfio/{}{}", guarded ? "" : "noiommu-", device.iommu_group);
    if (!device.iommu_group.empty() && !root.accessible(node)) {
      finding.level = Level::missing;
      finding.meaning = fmt::format("Ready for user space, but this user may not open {}.", node);
      finding.fix = fmt::format("sudo chown $USER {}", node);
    } else {
      finding.meaning = "Ready to be driven from user space.";
    }
  } else if (!device.uses.empty()) {
    finding.meaning = fmt::format("In use: {}. It stays with the kernel; use it through files or block devices.",
                                  fmt::join(device.uses, ", "));
  } else if (device.driver.empty()) {
    finding.level = Level::warn;
    finding.meaning = "No driver holds it. To drive it from user space:";
    finding.fix = fmt::format(
        "echo vfio-pci | sudo tee /sys/bus/pci/devices/{0}/driver_override && "
        "echo {0} | sudo tee /sys/bus/pci/drivers_probe",
        device.address);
  } else {
    finding.meaning = "Not in use. To drive it from user space (its block devices go away meanwhile):";
    finding.fix = bind_command(device.address);
  }
}

Finding describe(const SystemRoot& root, const Device& device) {
  Finding finding{.id = "nvme_" + device.address, .title = device.address};
  std::vector<std::string> parts;
  parts.push_back(device.model.empty() ? fmt::format("{}:{}", device.vendor, device.device) : device.model);
  if (!device.disks.empty()) parts.push_back(fmt::format("{}", fmt::join(device.disks, " ")));
  parts.push_back(device.driver.empty() ? "no driver" : fmt::format("driver {}", device.driver));
  if (device.numa_node != "-1") parts.push_back(fmt::format("node {}", device.numa_node));
  if (!device.iommu_group.empty()) parts.push_back(fmt::format("IOMMU group {}", device.iommu_group));
  finding.value = fmt::format("{}", fmt::join(parts, ", "));
  finding.data = {{"address", device.address},     {"vendor", device.vendor}, {"device", device.device},
                  {"model", device.model},         {"driver", device.driver}, {"iommu_group", device.iommu_group},
                  {"numa_node", device.numa_node}, {"disks", device.disks},   {"uses", device.uses}};
  judge(root, device, finding);
  return finding;
}

}  // namespace

Section check_nvme(const Surroundings& here) {
  Section section{.title = "NVMe devices"};
  for (const Device& device : find_devices(here.root)) section.findings.push_back(describe(here.root, device));
  if (section.findings.empty()) {
    section.findings.push_back({.id = "nvme",
                                .level = Level::missing,
                                .title = "NVMe",
                                .value = "no device on the PCI bus",
                                .meaning = "Files, memory devices and NVMe over TCP work without."});
  }
  return section;
}

}  // namespace spdkio::tool
