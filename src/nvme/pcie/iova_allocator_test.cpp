#include "nvme/pcie/iova_allocator.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace spdkio::nvme::pcie {
namespace {

constexpr std::uint64_t page = 4096;
constexpr std::uint64_t all = ~std::uint64_t{0};

TEST(IovaAllocator, NeverGivesOutTheFirstPage) {
  const IovaWindow window{.first = 0, .last = 4 * page - 1};
  IovaAllocator iovas({&window, 1}, all);
  EXPECT_EQ(iovas.allocate(page, page), page);
  EXPECT_EQ(iovas.allocate(2 * page, page), 2 * page);
  EXPECT_FALSE(iovas.allocate(page, page));
}

TEST(IovaAllocator, KeepsToWindowsAndLimit) {
  const IovaWindow windows[] = {{.first = 0x10'0000, .last = 0x10'0FFF}, {.first = 0x1001, .last = 0x3FFE}};
  IovaAllocator iovas(windows, 0x10'0FFF);
  // Of the second only the page from 0x2000 is whole.
  EXPECT_EQ(iovas.allocate(page, page), 0x2000u);
  EXPECT_EQ(iovas.allocate(page, page), 0x10'0000u);
  EXPECT_FALSE(iovas.allocate(page, page));

  IovaAllocator limited(windows, 0xFFFF);
  EXPECT_EQ(limited.allocate(page, page), 0x2000u);
  EXPECT_FALSE(limited.allocate(page, page));
}

TEST(IovaAllocator, ReachesTheEndOfTheAddressSpace) {
  const IovaWindow window{.first = all - 2 * page + 1, .last = all};
  IovaAllocator iovas({&window, 1}, all);
  EXPECT_EQ(iovas.allocate(2 * page, page), all - 2 * page + 1);
  EXPECT_FALSE(iovas.allocate(page, page));
}

TEST(IovaAllocator, AlignsAndUsesWhatIsInFront) {
  const IovaWindow window{.first = page, .last = 0x80'0000 - 1};
  IovaAllocator iovas({&window, 1}, all);
  EXPECT_EQ(iovas.allocate(0x20'0000, 0x20'0000), 0x20'0000u);
  EXPECT_EQ(iovas.allocate(page, page), page);
  EXPECT_EQ(iovas.allocate(0x20'0000, 0x20'0000), 0x40'0000u);
}

TEST(IovaAllocator, WhatIsFreedGrowsTogetherAgain) {
  const IovaWindow window{.first = page, .last = 9 * page - 1};
  for (const std::vector<int>& order :
       {std::vector{0, 1, 2, 3}, std::vector{3, 2, 1, 0}, std::vector{0, 2, 1, 3}, std::vector{1, 3, 0, 2}}) {
    IovaAllocator iovas({&window, 1}, all);
    std::vector<std::uint64_t> starts;
    for (int i = 0; i < 4; ++i) starts.push_back(*iovas.allocate(2 * page, page));
    EXPECT_FALSE(iovas.allocate(page, page));
    for (const int i : order) iovas.free(starts[static_cast<std::size_t>(i)], 2 * page);
    EXPECT_EQ(iovas.allocate(8 * page, page), page);
  }
}

TEST(IovaAllocator, NeverGivesTheSameTwice) {
  const IovaWindow windows[] = {{.first = 0, .last = 0xFEDF'FFFF}, {.first = 0xFEF0'0000, .last = 0x7F'FFFF'FFFF}};
  IovaAllocator iovas(windows, all);
  std::mt19937_64 random(7);
  std::map<std::uint64_t, std::uint64_t> used;
  for (int round = 0; round < 5000; ++round) {
    if (random() % 3 != 0 || used.empty()) {
      const std::uint64_t size = (random() % 4096 + 1) * page;
      const std::uint64_t alignment = random() % 2 == 0 ? page : 0x20'0000;
      const auto start = iovas.allocate(size, alignment);
      ASSERT_TRUE(start);
      ASSERT_EQ(*start % alignment, 0u);
      ASSERT_FALSE(*start < 0xFEF0'0000 && *start + size > 0xFEE0'0000) << "interrupt messages";
      const auto above = used.upper_bound(*start);
      ASSERT_TRUE(above == used.end() || *start + size <= above->first);
      ASSERT_TRUE(above == used.begin() || std::prev(above)->first + std::prev(above)->second <= *start);
      used.emplace(*start, size);
    } else {
      const auto victim = std::next(used.begin(), static_cast<std::ptrdiff_t>(random() % used.size()));
      iovas.free(victim->first, victim->second);
      used.erase(victim);
    }
  }
}

}  // namespace
}  // namespace spdkio::nvme::pcie
