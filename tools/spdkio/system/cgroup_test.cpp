
#include "spdkio/system/cgroup.hpp"

#include "spdkio/system/fake_root.hpp"

#include <gtest/gtest.h>

namespace spdkio::tool {
namespace {

TEST(Cgroup, NoGroupsNoLimits) {
  const FakeRoot fake;
  EXPECT_EQ(cgroup_cpu_quota(fake.root()), std::nullopt);
  EXPECT_EQ(cgroup_memory_limit(fake.root()), std::nullopt);
}

TEST(Cgroup, VersionTwoTakesTheTightestOfGroupAndParents) {
  FakeRoot fake;
  fake.file("/proc/self/cgroup", "0::/user.slice/app.scope\n")
      .file("/sys/fs/cgroup/user.slice/app.scope/cpu.max", "max 100000\n")
      .file("/sys/fs/cgroup/user.slice/cpu.max", "150000 100000\n")
      .file("/sys/fs/cgroup/user.slice/app.scope/memory.max", "1073741824\n")
      .file("/sys/fs/cgroup/user.slice/memory.max", "4294967296\n");
  EXPECT_EQ(cgroup_cpu_quota(fake.root()), 1.5);
  EXPECT_EQ(cgroup_memory_limit(fake.root()), 1073741824U);
}

TEST(Cgroup, InsideANamespaceTheGroupIsTheRoot) {
  FakeRoot fake;
  fake.file("/proc/self/cgroup", "0::/\n").file("/sys/fs/cgroup/cpu.max", "200000 100000\n");
  EXPECT_EQ(cgroup_cpu_quota(fake.root()), 2.0);
}

TEST(Cgroup, VersionOne) {
  FakeRoot fake;
  fake.file("/proc/self/cgroup", "4:memory:/docker/x\n2:cpu,cpuacct:/docker/x\n")
      .file("/sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "50000\n")
      .file("/sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n")
      .file("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n")
      .file("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
      .file("/sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(cgroup_cpu_quota(fake.root()), 0.5);
  EXPECT_EQ(cgroup_memory_limit(fake.root()), std::nullopt) << "the largest number means no limit";
}

TEST(Cgroup, NonsenseIsIgnored) {
  FakeRoot fake;
  fake.file("/proc/self/cgroup", "0::/../../x\nno colons\n::\n1:cpu\n")
      .file("/sys/fs/cgroup/cpu.max", "100000 0\n")
      .file("/sys/fs/cgroup/memory.max", "max\n");
  EXPECT_EQ(cgroup_cpu_quota(fake.root()), std::nullopt);
  EXPECT_EQ(cgroup_memory_limit(fake.root()), std::nullopt);
}

}  // namespace
}  // namespace spdkio::tool
