#include "engine_embedded/memory/page_runs.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace spdkio::embedded {
namespace {

constexpr std::uint64_t chunk_start = 0x7f1234600000 / page_bytes;

TEST(PageRuns, AllAtOnceAndBack) {
  PageRuns runs(chunk_start, 512);
  EXPECT_TRUE(runs.all_free());
  EXPECT_EQ(runs.allocate(512, 1), 0u);
  EXPECT_EQ(runs.free_pages(), 0u);
  EXPECT_EQ(runs.allocate(1, 1), std::nullopt);
  runs.free(0, 512);
  EXPECT_TRUE(runs.all_free());
  EXPECT_EQ(runs.allocate(513, 1), std::nullopt);
}

TEST(PageRuns, NeighboursAreJoinedInEveryOrder) {
  for (const auto& order :
       {std::vector{0u, 1u, 2u}, {0u, 2u, 1u}, {1u, 0u, 2u}, {1u, 2u, 0u}, {2u, 0u, 1u}, {2u, 1u, 0u}}) {
    PageRuns runs(chunk_start, 30);
    std::vector<std::uint32_t> firsts;
    for (int i = 0; i < 3; ++i) firsts.push_back(runs.allocate(10, 1).value());
    for (const unsigned i : order) runs.free(firsts[i], 10);
    EXPECT_EQ(runs.allocate(30, 1), 0u);
  }
}

TEST(PageRuns, AlignmentGoesByTheAddress) {
  PageRuns runs(chunk_start + 3, 200);
  for (const std::uint64_t alignment : {2u, 8u, 32u, 64u}) {
    const auto first = runs.allocate(3, alignment);
    ASSERT_TRUE(first.has_value());
    EXPECT_EQ((chunk_start + 3 + *first) % alignment, 0u);
  }
  EXPECT_EQ(runs.allocate(1, std::uint64_t{1} << 40), std::nullopt);
}

TEST(PageRuns, PartsOfARunMayComeBack) {
  PageRuns runs(chunk_start, 64);
  ASSERT_EQ(runs.allocate(64, 1), 0u);
  runs.free(16, 8);
  runs.free(32, 8);
  EXPECT_EQ(runs.allocate(9, 1), std::nullopt) << "the parts do not touch";
  runs.free(24, 8);
  EXPECT_EQ(runs.allocate(24, 1), 16u);
}

// Against a plain map of pages: nothing is handed out twice, and what is refused really does not exist.
TEST(PageRuns, RandomAgainstAShadow) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const auto between = [&](std::uint32_t low, std::uint32_t high) {
      return std::uniform_int_distribution<std::uint32_t>(low, high)(random);
    };
    const std::uint32_t count = between(1, 1500);
    const std::uint64_t number = chunk_start + between(0, 40);
    PageRuns runs(number, count);
    std::vector<char> used(count, 0);
    struct Run {
      std::uint32_t first, pages;
    };
    std::vector<Run> out;
    std::uint32_t in_use = 0;
    for (int step = 0; step < 4000; ++step) {
      if (out.empty() || between(0, 99) < 55) {
        const std::uint32_t pages = between(0, 3) == 0 ? between(1, 300) : between(1, 20);
        const std::uint64_t alignment = std::uint64_t{1} << between(0, 6);
        const auto first = runs.allocate(pages, alignment);
        if (first) {
          ASSERT_LE(*first + pages, count);
          ASSERT_EQ((number + *first) % alignment, 0u);
          for (std::uint32_t i = 0; i < pages; ++i) {
            ASSERT_FALSE(used[*first + i]) << "handed out twice";
            used[*first + i] = 1;
          }
          out.push_back({*first, pages});
          in_use += pages;
        } else {
          for (std::uint32_t start = 0; start + pages <= count; ++start) {
            if ((number + start) % alignment != 0) continue;
            bool free = true;
            for (std::uint32_t i = 0; i < pages && free; ++i) free = !used[start + i];
            ASSERT_FALSE(free) << "refused though " << pages << " pages are free at " << start;
          }
        }
      } else {
        const std::size_t which = between(0, static_cast<std::uint32_t>(out.size()) - 1);
        const Run run = out[which];
        out[which] = out.back();
        out.pop_back();
        for (std::uint32_t i = 0; i < run.pages; ++i) used[run.first + i] = 0;
        runs.free(run.first, run.pages);
        in_use -= run.pages;
      }
      ASSERT_EQ(runs.free_pages(), count - in_use);
    }
    for (const Run run : out) runs.free(run.first, run.pages);
    EXPECT_TRUE(runs.all_free());
    EXPECT_EQ(runs.allocate(count, 1), 0u);
  }
}

}  // namespace
}  // namespace spdkio::embedded
