
#include "spdkio/system/system_root.hpp"

#include "spdkio/system/fake_root.hpp"
#include "spdkio/system/machine_info.hpp"

#include <gtest/gtest.h>

namespace spdkio::tool {
namespace {

TEST(SystemRoot, WhatIsNotThereIsAbsent) {
  const FakeRoot fake;
  const SystemRoot root = fake.root();
  EXPECT_FALSE(root.is_live());
  EXPECT_FALSE(root.exists("/proc"));
  EXPECT_EQ(root.text("/proc/version"), std::nullopt);
  EXPECT_EQ(root.number("/proc/version"), std::nullopt);
  EXPECT_EQ(root.link_name("/sys/x"), std::nullopt);
  EXPECT_TRUE(root.names("/sys").empty());
  EXPECT_FALSE(root.accessible("/dev/vfio/vfio"));
}

TEST(SystemRoot, AFolderIsNotText) {
  FakeRoot fake;
  fake.folder("/sys/block");
  EXPECT_EQ(fake.root().text("/sys/block"), std::nullopt);
}

TEST(SystemRoot, ReadsBelowItsRoot) {
  FakeRoot fake;
  fake.file("/sys/a", " 0x2a \nmore\n").file("/sys/b", "12 pages").link("/sys/driver", "../../bus/pci/drivers/nvme");
  EXPECT_EQ(fake.root().line("/sys/a"), "0x2a");
  EXPECT_EQ(fake.root().number("/sys/a"), 42U);
  EXPECT_EQ(fake.root().number("/sys/b"), std::nullopt);
  EXPECT_EQ(fake.root().link_name("/sys/driver"), "nvme");
}

TEST(SystemRoot, NamesSortByTheNumbersInThem) {
  FakeRoot fake;
  fake.file("/d/node10").file("/d/node2").file("/d/node2b").file("/d/a");
  EXPECT_EQ(fake.root().names("/d"), (std::vector<std::string>{"a", "node2", "node2b", "node10"}));
}

TEST(SystemRoot, LongFilesAreCut) {
  FakeRoot fake;
  fake.file("/big", std::string(3 << 20, 'x'));
  EXPECT_LE(fake.root().text("/big")->size(), (1U << 20) + 4096);
}

TEST(SystemRoot, KeyedValueMatchesWholeKeys) {
  const std::string text = "VmLckX: 1\nVmLck:\t  12 kB\nEmpty:\n";
  EXPECT_EQ(keyed_value(text, "VmLck"), "12 kB");
  EXPECT_EQ(keyed_value(text, "Empty"), "");
  EXPECT_EQ(keyed_value(text, "Vm"), std::nullopt);
}

TEST(SystemRoot, CpuLists) {
  EXPECT_EQ(parse_cpu_list("0-2,8, 10-11\n"), (std::vector<unsigned>{0, 1, 2, 8, 10, 11}));
  EXPECT_EQ(parse_cpu_list(""), std::vector<unsigned>{});
  EXPECT_EQ(parse_cpu_list("x,3,4-"), std::vector<unsigned>{3});
  EXPECT_LE(parse_cpu_list("0-4294967295").size(), 65536U);
  EXPECT_EQ(format_cpu_list({0, 1, 2, 8, 10, 11}), "0-2,8,10-11");
  EXPECT_EQ(format_cpu_list({}), "");
}

TEST(MachineInfo, ComesFromTheTree) {
  FakeRoot fake;
  fake.file("/proc/sys/kernel/hostname", "box\n")
      .file("/proc/sys/kernel/osrelease", "6.1.0-13-amd64\n")
      .file("/etc/os-release", "NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n")
      .file("/proc/cpuinfo", "processor\t: 0\nmodel name\t: Some CPU @ 2GHz\nflags\t\t: fpu tsc hypervisor\n")
      .file("/proc/self/status", "Name:\tx\nCpus_allowed_list:\t0-3\n")
      .file("/proc/meminfo", "MemTotal:       2048 kB\n")
      .file("/sys/devices/system/node/online", "0-1\n")
      .file("/.dockerenv");
  const MachineInfo info = read_machine_info(fake.root());
  EXPECT_EQ(info.hostname, "box");
  EXPECT_EQ(info.kernel, "6.1.0-13-amd64");
  EXPECT_EQ(info.distribution, "Debian GNU/Linux 12");
  EXPECT_EQ(info.cpu_model, "Some CPU @ 2GHz");
  EXPECT_EQ(info.cpus_allowed.size(), 4U);
  EXPECT_EQ(info.numa_nodes, 2U);
  EXPECT_EQ(info.memory_bytes, 2048U * 1024);
  EXPECT_TRUE(info.virtual_machine);
  EXPECT_EQ(info.container, "docker");
}

TEST(MachineInfo, AnEmptyTreeIsAMachineOfWhichNothingIsKnown) {
  const FakeRoot fake;
  const MachineInfo info = read_machine_info(fake.root());
  EXPECT_EQ(info.kernel, "");
  EXPECT_EQ(info.container, "");
  EXPECT_EQ(info.numa_nodes, 1U);
  EXPECT_FALSE(info.virtual_machine);
}

TEST(MachineInfo, ContainersByTheirMarks) {
  FakeRoot named;
  named.file("/run/systemd/container", "lxc\n");
  EXPECT_EQ(detect_container(named.root()), "lxc");
  FakeRoot environment;
  environment.file("/proc/1/environ", std::string_view{"HOME=/\0container=podman\0X=1", 28});
  EXPECT_EQ(detect_container(environment.root()), "podman");
  FakeRoot group;
  group.file("/proc/1/cgroup", "0::/kubepods/besteffort/pod1\n");
  EXPECT_EQ(detect_container(group.root()), "kubernetes");
}

}  // namespace
}  // namespace spdkio::tool
