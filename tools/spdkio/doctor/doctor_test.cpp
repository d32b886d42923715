
#include "spdkio/doctor/doctor.hpp"

#include "spdkio/system/fake_root.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <sstream>

namespace spdkio::tool {
namespace {

class Doctor : public testing::Test {
 protected:
  Surroundings here() const {
    return {.root = fake_.root(), .probe_io_uring = [this] { return probe_; }, .module_folders = {"/opt/modules"}};
  }
  Finding find(Check check, std::string_view id) const {
    for (const Finding& finding : check(here()).findings) {
      if (finding.id == id) return finding;
    }
    ADD_FAILURE() << "no finding " << id;
    return {};
  }
  static IoUringProbe full_probe() {
    IoUringProbe probe{.features = 0x3fff, .single_issuer = true, .defer_taskrun = true, .iopoll = true};
    for (const auto& operation : wanted_io_uring_operations()) probe.operations.push_back(operation.opcode);
    return probe;
  }
  void status(std::string_view seccomp, std::string_view capabilities) {
    fake_.file("/proc/self/status", "Name:\tx\nCapEff:\t" + std::string{capabilities} + "\nSeccomp:\t" +
                                        std::string{seccomp} + "\nCpus_allowed_list:\t0-3\n");
  }

  FakeRoot fake_;
  IoUringProbe probe_ = full_probe();
};

constexpr const char* no_rights = "0000000000000000";

TEST_F(Doctor, AnEmptyMachineIsReportedWithoutFailing) {
  probe_ = {.setup_errno = ENOSYS};
  const auto sections = examine(here());
  EXPECT_EQ(sections.size(), all_checks().size());
  std::set<std::string> ids;
  for (const Section& section : sections) {
    EXPECT_FALSE(section.findings.empty()) << section.title;
    for (const Finding& finding : section.findings) {
      EXPECT_TRUE(ids.insert(finding.id).second) << finding.id << " twice";
      EXPECT_FALSE(finding.value.empty()) << finding.id;
      if (finding.level != Level::ok && finding.value != "unknown") {
        EXPECT_FALSE(finding.meaning.empty()) << finding.id << " does not say what it means";
      }
    }
  }
}

TEST_F(Doctor, KernelVersions) {
  fake_.file("/proc/sys/kernel/osrelease", "5.4.0-150-generic\n");
  EXPECT_EQ(find(check_system, "kernel").level, Level::warn);
  fake_.file("/proc/sys/kernel/osrelease", "6.1.0-13-amd64\n");
  EXPECT_EQ(find(check_system, "kernel").level, Level::ok);
  EXPECT_EQ(find(check_system, "kernel").meaning, "");
  fake_.file("/proc/sys/kernel/osrelease", "garbage\n");
  EXPECT_EQ(find(check_system, "kernel").value, "unknown");
}

TEST_F(Doctor, IoUringThatWorks) {
  EXPECT_EQ(find(check_io_uring, "io_uring").level, Level::ok);
  EXPECT_EQ(find(check_io_uring, "io_uring_modes").value, "SINGLE_ISSUER, DEFER_TASKRUN, IOPOLL");
  EXPECT_EQ(find(check_io_uring, "io_uring_operations").level, Level::ok);
}

TEST_F(Doctor, IoUringSwitchedOffForAll) {
  probe_ = {.setup_errno = EPERM};
  status("0", no_rights);
  fake_.file("/proc/sys/kernel/io_uring_disabled", "2\n");
  const Finding finding = find(check_io_uring, "io_uring");
  EXPECT_EQ(finding.level, Level::missing);
  EXPECT_EQ(finding.data["cause"], "sysctl");
  EXPECT_EQ(finding.fix, "sudo sysctl kernel.io_uring_disabled=0");
}

TEST_F(Doctor, IoUringSwitchedOffForOrdinaryUsersOnlyConcernsThem) {
  probe_ = {.setup_errno = EPERM};
  fake_.file("/proc/sys/kernel/io_uring_disabled", "1\n");
  status("2", no_rights);
  EXPECT_EQ(find(check_io_uring, "io_uring").data["cause"], "sysctl");
  status("2", "000001ffffffffff");
  EXPECT_EQ(find(check_io_uring, "io_uring").data["cause"], "seccomp") << "root is not kept out by the value 1";
}

TEST_F(Doctor, IoUringRefusedBySeccompIsToldFromASecurityModule) {
  probe_ = {.setup_errno = EPERM};
  status("2", no_rights);
  EXPECT_EQ(find(check_io_uring, "io_uring").data["cause"], "seccomp");
  status("0", no_rights);
  EXPECT_EQ(find(check_io_uring, "io_uring").data["cause"], "security_module");
  EXPECT_EQ(check_io_uring(here()).findings.size(), 1U) << "no modes without a ring";
}

TEST_F(Doctor, IoUringWithoutDeferTaskrunOrOperations) {
  probe_.defer_taskrun = false;
  probe_.operations.pop_back();
  EXPECT_EQ(find(check_io_uring, "io_uring_modes").level, Level::warn);
  const Finding operations = find(check_io_uring, "io_uring_operations");
  EXPECT_EQ(operations.level, Level::warn);
  EXPECT_NE(operations.meaning.find(wanted_io_uring_operations().back().name), std::string::npos);
}

TEST_F(Doctor, RegisteredBuffersAgainstMemlock) {
  probe_.register_buffers_errno = ENOMEM;
  const Finding finding = find(check_io_uring, "io_uring_buffers");
  EXPECT_EQ(finding.level, Level::warn);
  EXPECT_NE(finding.fix.find("--memlock"), std::string::npos);
}

TEST_F(Doctor, HugepagesPerSizeAndNode) {
  fake_.file("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "512\n")
      .file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "500\n")
      .file("/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "0\n")
      .file("/sys/devices/system/node/online", "0-1\n")
      .file("/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages", "512\n")
      .file("/sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages", "500\n")
      .file("/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages", "0\n");
  const Finding finding = find(check_memory, "hugepages");
  EXPECT_EQ(finding.level, Level::ok);
  EXPECT_EQ(finding.value, "512 x 2 MiB, 500 free (node 0: 1000 MiB free, node 1: 0 B free)");
  EXPECT_EQ(finding.data["nodes"][0]["pools"][0]["free"], 500);
  EXPECT_EQ(finding.data["pools"].size(), 2U);
}

TEST_F(Doctor, HugepagesThatAreMissingOrTaken) {
  EXPECT_EQ(find(check_memory, "hugepages").value, "not in this kernel");
  fake_.file("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "0\n");
  EXPECT_EQ(find(check_memory, "hugepages").fix,
            "echo 1024 | sudo tee /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
  fake_.file("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "8\n")
      .file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "0\n");
  EXPECT_EQ(find(check_memory, "hugepages").level, Level::warn);
}

TEST_F(Doctor, HugetlbfsMounts) {
  EXPECT_NE(find(check_memory, "hugetlbfs").fix, "");
  fake_.file("/proc/self/mounts", "proc /proc proc rw 0 0\nhugetlbfs /dev/hugepages hugetlbfs rw,pagesize=2M 0 0\n");
  EXPECT_EQ(find(check_memory, "hugetlbfs").value, "mounted on /dev/hugepages");
}

TEST_F(Doctor, MemlockBindsOnlyWithoutTheCapability) {
  fake_.file("/proc/self/limits",
             "Limit                     Soft Limit           Hard Limit           Units     \n"
             "Max open files            1024                 524288               files     \n"
             "Max locked memory         65536                65536                bytes     \n");
  status("0", no_rights);
  EXPECT_EQ(find(check_limits, "memlock").level, Level::warn);
  EXPECT_EQ(find(check_limits, "memlock").value, "64 KiB");
  EXPECT_EQ(find(check_limits, "nofile").fix, "ulimit -n 65536");
  status("0", "0000000000004000");
  EXPECT_EQ(find(check_limits, "memlock").level, Level::ok);
  EXPECT_EQ(find(check_limits, "cap_ipc_lock").level, Level::ok);
  EXPECT_EQ(find(check_limits, "cap_sys_admin").level, Level::warn);
}

TEST_F(Doctor, UnlimitedIsFine) {
  fake_.file("/proc/self/limits",
             "Max locked memory         unlimited            unlimited            bytes\n"
             "Max open files            unlimited            unlimited            files\n");
  status("0", no_rights);
  EXPECT_EQ(find(check_limits, "memlock").level, Level::ok);
  EXPECT_EQ(find(check_limits, "nofile").level, Level::ok);
}

TEST_F(Doctor, CpuQuotaBelowTheCpusWarns) {
  status("0", no_rights);
  fake_.file("/proc/self/cgroup", "0::/\n").file("/sys/fs/cgroup/cpu.max", "150000 100000\n");
  const Finding finding = find(check_cpus, "cpu_quota");
  EXPECT_EQ(finding.level, Level::warn);
  EXPECT_EQ(finding.value, "1.50 CPUs");
  EXPECT_EQ(find(check_cpus, "cpus").value, "4 allowed (0-3)");
}

TEST_F(Doctor, CpuFlags) {
  fake_.file("/proc/cpuinfo", "flags : sse4_2 avx2 constant_tsc nonstop_tsc\n");
  EXPECT_EQ(find(check_cpus, "cpu_flags").level, Level::ok);
  EXPECT_NE(find(check_cpus, "cpu_flags").meaning.find("avx512f"), std::string::npos);
  EXPECT_EQ(find(check_cpus, "tsc").level, Level::ok);
  fake_.file("/proc/cpuinfo", "flags : fpu\n");
  EXPECT_EQ(find(check_cpus, "cpu_flags").level, Level::warn);
  EXPECT_EQ(find(check_cpus, "tsc").level, Level::warn);
}

TEST_F(Doctor, IommuAdviceFitsTheMachine) {
  fake_.file("/proc/cpuinfo", "vendor_id : GenuineIntel\nflags : hypervisor\n");
  EXPECT_EQ(find(check_vfio, "iommu").fix, "") << "a guest cannot switch on what its hypervisor does not offer";
  fake_.file("/proc/cpuinfo", "vendor_id : GenuineIntel\nflags : fpu\n");
  EXPECT_NE(find(check_vfio, "iommu").fix.find("intel_iommu=on"), std::string::npos);
  fake_.folder("/sys/kernel/iommu_groups/0").folder("/sys/kernel/iommu_groups/1");
  EXPECT_EQ(find(check_vfio, "iommu").value, "on, 2 groups");
}

TEST_F(Doctor, VfioModule) {
  EXPECT_EQ(find(check_vfio, "vfio_pci").value, "not with this kernel");
  EXPECT_EQ(find(check_vfio, "vfio_pci").fix, "");
  fake_.file("/proc/sys/kernel/osrelease", "6.1.0\n").file("/lib/modules/6.1.0/kernel/drivers/vfio/pci/vfio-pci.ko.xz");
  EXPECT_EQ(find(check_vfio, "vfio_pci").fix, "sudo modprobe vfio-pci");
  fake_.folder("/sys/bus/pci/drivers/vfio-pci");
  EXPECT_EQ(find(check_vfio, "vfio_pci").level, Level::ok);
}

TEST_F(Doctor, NoIommuModeIsOfferedOnlyWithoutIommu) {
  fake_.file("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "N\n");
  EXPECT_NE(find(check_vfio, "vfio_noiommu").fix, "");
  fake_.folder("/sys/kernel/iommu_groups/0");
  EXPECT_EQ(find(check_vfio, "vfio_noiommu").fix, "");
  EXPECT_EQ(find(check_vfio, "vfio_noiommu").level, Level::ok);
  fake_.file("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
  EXPECT_EQ(find(check_vfio, "vfio_noiommu").level, Level::warn)
      << "protection was given up although there is an IOMMU";
}

class NvmeDoctor : public Doctor {
 protected:
  NvmeDoctor() {
    const std::string device = "/sys/bus/pci/devices/0000:01:00.0";
    fake_.file(device + "/class", "0x010802\n")
        .file(device + "/vendor", "0x144d\n")
        .file(device + "/device", "0xa80a\n")
        .file(device + "/numa_node", "1\n")
        .link(device + "/driver", "../../../bus/pci/drivers/nvme")
        .link(device + "/iommu_group", "../../../kernel/iommu_groups/14")
        .file(device + "/nvme/nvme0/model", "Some SSD 1TB\x1b[31m            \n")
        .file(device + "/nvme/nvme0/nvme0c0n1/size", "1953525168\n")
        .file("/sys/block/nvme0n1/nvme0n1p1/size", "100\n")
        .file("/sys/bus/pci/devices/0000:00:02.0/class", "0x030000\n");
  }
  Finding device() const { return find(check_nvme, "nvme_0000:01:00.0"); }
};

TEST_F(NvmeDoctor, IdleDeviceCanBeGivenToVfio) {
  const Finding finding = device();
  EXPECT_EQ(finding.value, "Some SSD 1TB?[31m, nvme0n1, driver nvme, node 1, IOMMU group 14");
  EXPECT_NE(finding.fix.find("/sys/bus/pci/devices/0000:01:00.0/driver_override"), std::string::npos);
  EXPECT_EQ(check_nvme(here()).findings.size(), 1U) << "the display controller is none of ours";
}

TEST_F(NvmeDoctor, MountedDeviceStaysWithTheKernel) {
  fake_.file("/proc/self/mounts", "/dev/nvme0n1p2 / ext4 rw 0 0\n/dev/nvme0n10 /other ext4 rw 0 0\n");
  EXPECT_EQ(device().fix, "");
  EXPECT_NE(device().meaning.find("mounted on / (nvme0n1p2)"), std::string::npos);
  EXPECT_EQ(device().meaning.find("/other"), std::string::npos) << "nvme0n10 is another disk";
}

TEST_F(NvmeDoctor, SwapAndHoldersCountAsUse) {
  fake_.file("/proc/swaps", "Filename Type Size Used Priority\n/dev/nvme0n1p3 partition 1 0 -2\n");
  fake_.folder("/sys/block/nvme0n1/nvme0n1p1/holders/dm-0");
  EXPECT_EQ(device().fix, "");
  EXPECT_NE(device().meaning.find("swap (nvme0n1p3)"), std::string::npos);
  EXPECT_NE(device().meaning.find("part of dm-0 (nvme0n1p1)"), std::string::npos);
}

TEST_F(Doctor, DeviceBoundToVfioNeedsItsGroupFile) {
  const std::string device = "/sys/bus/pci/devices/0000:02:00.0";
  fake_.file(device + "/class", "0x010802\n")
      .link(device + "/driver", "../../../bus/pci/drivers/vfio-pci")
      .link(device + "/iommu_group", "../../../kernel/iommu_groups/7");
  Finding finding = find(check_nvme, "nvme_0000:02:00.0");
  EXPECT_EQ(finding.level, Level::missing);
  EXPECT_EQ(finding.fix, "sudo chown $USER /dev/vfio/7");
  fake_.file("/dev/vfio/7");
  EXPECT_EQ(find(check_nvme, "nvme_0000:02:00.0").level, Level::ok);
}

TEST_F(Doctor, EngineModules) {
  EXPECT_EQ(find(check_engines, "engine_embedded").level, Level::ok);
  EXPECT_EQ(find(check_engines, "engine_spdk").level, Level::missing);
  fake_.file("/usr/local/lib/pkgconfig/spdk_event.pc", "Name: spdk_event\nVersion: 24.09\n");
  EXPECT_NE(find(check_engines, "engine_spdk").meaning.find("SPDK 24.09"), std::string::npos);
  fake_.file("/opt/modules/libspdkio-engine-spdk.so");
  EXPECT_EQ(find(check_engines, "engine_spdk").level, Level::ok);
}

TEST_F(Doctor, EngineThatIsLinkedInNeedsNoModule) {
  Surroundings surroundings = here();
  surroundings.spdk_linked_in = true;
  const Finding finding = check_engines(surroundings).findings.back();
  EXPECT_EQ(finding.id, "engine_spdk");
  EXPECT_EQ(finding.level, Level::ok);
  EXPECT_EQ(finding.value, "built in");
}

TEST_F(Doctor, TextHasFixesOnOneLineAndASummary) {
  fake_.file("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "0\n");
  std::ostringstream out;
  print_findings(Terminal{out, {}}, {check_memory(here())}, false);
  const std::string text = out.str();
  EXPECT_NE(text.find("$ echo 1024 | sudo tee /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages\n"),
            std::string::npos);
  EXPECT_NE(text.find("ok, "), std::string::npos);
  EXPECT_EQ(text.find(" \n"), std::string::npos) << "no spaces at line ends";
  out.str("");
  print_findings(Terminal{out, {}}, {check_memory(here())}, true);
  EXPECT_EQ(out.str().find("  ok  "), std::string::npos);
}

TEST_F(Doctor, JsonCountsLevels) {
  const auto sections = examine(here());
  const auto json = findings_json(sections);
  int total = 0;
  for (const auto& [level, count] : json["counts"].items()) total += count.get<int>();
  EXPECT_EQ(static_cast<std::size_t>(total), json["findings"].size());
  EXPECT_EQ(json["schema_version"], 1);
}

TEST(IoUringProbe, AnswersOnThisMachineWhateverItIs) {
  const IoUringProbe probe = probe_io_uring();
  if (probe.setup_errno == 0) {
    EXPECT_FALSE(probe.operations.empty());
    EXPECT_TRUE(probe.single_issuer || !probe.defer_taskrun);
  } else {
    EXPECT_TRUE(probe.operations.empty());
  }
}

}  // namespace
}  // namespace spdkio::tool
