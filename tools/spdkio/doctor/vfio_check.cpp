
#include "spdkio/doctor/check.hpp"
#include "spdkio/system/machine_info.hpp"

#include <fmt/format.h>

namespace spdkio::tool {
namespace {

bool module_exists(const SystemRoot& root, std::string_view module) {
  const std::string release = root.line("/proc/sys/kernel/osrelease").value_or("");
  // With or without compression: vfio-pci.ko, vfio-pci.ko.xz. The files are larger than what is read of other files, so
  // the folders are looked at instead.
  for (const std::string_view folder : {"kernel/drivers/vfio/pci", "kernel/drivers/vfio"}) {
    for (const std::string& name : root.names(fmt::format("/lib/modules/{}/{}", release, folder))) {
      if (name.starts_with(fmt::format("{}.ko", module))) return true;
    }
  }
  const std::string builtin = root.text(fmt::format("/lib/modules/{}/modules.builtin", release)).value_or("");
  return builtin.find(fmt::format("/{}.ko", module)) != std::string::npos;
}

Finding iommu(const SystemRoot& root) {
  const std::size_t groups = root.names("/sys/kernel/iommu_groups").size();
  Finding finding{.id = "iommu", .title = "IOMMU"};
  finding.data["groups"] = groups;
  if (groups != 0) {
    finding.value = fmt::format("on, {} groups", groups);
    return finding;
  }
  finding.level = Level::missing;
  finding.value = "off or absent";
  const std::string cpus = root.text("/proc/cpuinfo").value_or("");
  if (detect_virtual_machine(root)) {
    finding.meaning =
        "NVMe devices can be driven from user space only without protection (no-IOMMU). The hypervisor would have to "
        "give this machine an IOMMU.";
  } else if (cpus.find("GenuineIntel") != std::string::npos) {
    finding.meaning = "NVMe devices cannot be driven safely from user space. VT-d must be on in the firmware as well.";
    finding.fix =
        "sudo sed -i 's/^GRUB_CMDLINE_LINUX=\"/&intel_iommu=on iommu=pt /' /etc/default/grub && sudo update-grub && "
        "sudo reboot";
  } else {
    finding.meaning =
        "NVMe devices cannot be driven safely from user space. Switch on the IOMMU (AMD-Vi, SMMU) in the firmware.";
  }
  return finding;
}

Finding driver(const SystemRoot& root) {
  Finding finding{.id = "vfio_pci", .title = "vfio-pci"};
  const bool loaded = root.exists("/sys/bus/pci/drivers/vfio-pci");
  const bool available = loaded || module_exists(root, "vfio-pci");
  finding.data = {{"loaded", loaded}, {"available", available}};
  if (loaded) {
    finding.value = "loaded";
    return finding;
  }
  finding.level = Level::missing;
  finding.meaning = "NVMe devices cannot be driven from user space. Files and NVMe over TCP do not need it.";
  finding.value = available ? "not loaded" : "not with this kernel";
  if (available) finding.fix = "sudo modprobe vfio-pci";
  return finding;
}

Finding no_iommu(const SystemRoot& root) {
  Finding finding{.id = "vfio_noiommu", .title = "VFIO without IOMMU"};
  const auto parameter = root.line("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode");
  const bool on = parameter == "Y" || parameter == "1";
  finding.data["enabled"] = on;
  finding.value = on ? "allowed" : "not allowed";
  const bool has_iommu = !root.names("/sys/kernel/iommu_groups").empty();
  if (on) {
    finding.level = has_iommu ? Level::warn : Level::ok;
    finding.meaning = "A device can then write to any memory of the machine: for tests, not for production.";
  } else if (!has_iommu && root.exists("/sys/module/vfio")) {
    finding.level = Level::warn;
    finding.meaning = "The only way to devices on a machine without IOMMU; it gives up all protection.";
    finding.fix = "echo 1 | sudo tee /sys/module/vfio/parameters/enable_unsafe_noiommu_mode";
  } else if (!has_iommu) {
    finding.level = Level::warn;
    finding.meaning = "The only way to devices on a machine without IOMMU; it gives up all protection.";
    if (module_exists(root, "vfio")) finding.fix = "sudo modprobe vfio enable_unsafe_noiommu_mode=1";
  }
  return finding;
}

Finding iommufd(const SystemRoot& root) {
  Finding finding{.id = "iommufd", .title = "iommufd"};
  const bool present = root.exists("/dev/iommu");
  finding.data["present"] = present;
  finding.value = present ? "there" : "not there";
  if (!present) finding.meaning = "VFIO groups are used instead; nothing is lost for NVMe.";
  return finding;
}

Finding mapping_limit(const SystemRoot& root) {
  Finding finding{.id = "vfio_dma_entries", .title = "VFIO mappings"};
  const auto limit = root.number("/sys/module/vfio_iommu_type1/parameters/dma_entry_limit");
  finding.data["limit"] = limit ? nlohmann::ordered_json(*limit) : nlohmann::ordered_json(nullptr);
  finding.value = limit ? fmt::format("{} per container", *limit) : "not known before VFIO is loaded";
  return finding;
}

}  // namespace

Section check_vfio(const Surroundings& here) {
  return {"User-space devices",
          {iommu(here.root), driver(here.root), no_iommu(here.root), iommufd(here.root), mapping_limit(here.root)}};
}

}  // namespace spdkio::tool
