#include "engine_embedded/memory/size_classes.hpp"

#include <gtest/gtest.h>

namespace spdkio::embedded {
namespace {

TEST(SizeClasses, GrowInStepsOfAtMostAQuarter) {
  for (unsigned c = 1; c < block_class_count; ++c) {
    ASSERT_GT(block_size(c), block_size(c - 1)) << c;
    if (block_size(c - 1) < 256) continue;
    EXPECT_LE((block_size(c) - block_size(c - 1)) * 4, block_size(c - 1)) << c;
  }
}

TEST(SizeClasses, SmallestBlockThatFits) {
  for (std::size_t size = 1; size <= largest_block; size += size < 5000 ? 1 : 509) {
    const auto c = block_class_for(size, 1);
    ASSERT_TRUE(c.has_value()) << size;
    EXPECT_GE(block_size(*c), size);
    if (*c > 0) {
      EXPECT_LT(block_size(*c - 1), size) << "a smaller block would do";
    }
  }
  EXPECT_EQ(block_class_for(largest_block, 1), block_class_count - 1);
  EXPECT_EQ(block_class_for(largest_block + 1, 1), std::nullopt);
}

TEST(SizeClasses, HonourTheAlignment) {
  for (std::size_t alignment = 1; alignment <= largest_block; alignment *= 2) {
    for (std::size_t size = 1; size <= largest_block; size += size < 3000 ? 7 : 4093) {
      const auto c = block_class_for(size, alignment);
      if (!c) continue;
      ASSERT_GE(block_size(*c), size);
      ASSERT_EQ(block_size(*c) % alignment, 0u) << size << " at " << alignment;
      ASSERT_GE(block_alignment(*c), alignment);
    }
    EXPECT_TRUE(block_class_for(alignment, alignment).has_value());
  }
  EXPECT_EQ(block_class_for(1, 2 * largest_block), std::nullopt);
}

TEST(SizeClasses, UsualBuffersFitExactly) {
  for (std::size_t size = 4096; size <= largest_block; size *= 2) {
    const auto c = block_class_for(size, 4096);
    ASSERT_TRUE(c.has_value());
    EXPECT_EQ(block_size(*c), size);
  }
}

}  // namespace
}  // namespace spdkio::embedded
