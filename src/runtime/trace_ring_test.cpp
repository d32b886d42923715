#include <spdkio/runtime/trace_ring.hpp>

#include <gtest/gtest.h>

namespace spdkio::detail {
namespace {

TEST(TraceRing, KeepsTheNewest) {
  TraceRing ring(all_trace_groups, 5);
  EXPECT_EQ(ring.capacity(), 8u) << "rounded up";
  EXPECT_EQ(ring.oldest(), ring.recorded());
  for (std::uint64_t i = 1; i <= 11; ++i) ring.record({.begin_ticks = i, .name = "event"});
  EXPECT_EQ(ring.recorded(), 11u);
  EXPECT_EQ(ring.oldest(), 3u);
  for (std::uint64_t number = ring.oldest(); number < ring.recorded(); ++number) {
    EXPECT_EQ(ring.event(number).begin_ticks, number + 1);
  }
}

TEST(TraceRing, GroupsAndNames) {
  TraceRing ring(static_cast<std::uint32_t>(TraceGroup::bdev), 8);
  EXPECT_TRUE(ring.wants(TraceGroup::bdev));
  EXPECT_FALSE(ring.wants(TraceGroup::task));
  ring.set_groups(all_trace_groups);
  EXPECT_TRUE(ring.wants(TraceGroup::task));
  const std::string* const name = ring.keep("Malloc0");
  for (int i = 0; i < 100; ++i) ring.keep("disk" + std::to_string(i));
  EXPECT_EQ(ring.keep("Malloc0"), name) << "kept once, at the same place";
  EXPECT_EQ(*name, "Malloc0");
}

}  // namespace
}  // namespace spdkio::detail
