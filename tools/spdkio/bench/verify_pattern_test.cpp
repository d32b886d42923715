
#include "spdkio/bench/verify_pattern.hpp"

#include "spdkio/bench/random.hpp"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace spdkio::tool {
namespace {

class VerifyPattern : public testing::TestWithParam<std::size_t> {
 protected:
  std::vector<std::byte> block_ = std::vector<std::byte>(GetParam());
  PatternId id_{.run = 77, .lba = 1234, .generation = 5};
};

TEST_P(VerifyPattern, MatchesWhatWasWritten) {
  fill_pattern(block_, id_);
  EXPECT_TRUE(matches_pattern(block_, id_));
}

TEST_P(VerifyPattern, EveryFlippedBitIsSeen) {
  fill_pattern(block_, id_);
  for (std::size_t at = 0; at < block_.size(); ++at) {
    block_[at] ^= std::byte{0x10};
    EXPECT_FALSE(matches_pattern(block_, id_)) << "byte " << at;
    block_[at] ^= std::byte{0x10};
  }
  EXPECT_TRUE(matches_pattern(block_, id_));
}

INSTANTIATE_TEST_SUITE_P(Sizes, VerifyPattern, testing::Values(64, 512, 520, 4096));

std::string explained(const PatternId& written, const PatternId& expected) {
  std::vector<std::byte> block(512);
  fill_pattern(block, written);
  EXPECT_FALSE(matches_pattern(block, expected));
  return explain_mismatch(block, expected);
}

TEST(VerifyPatternText, SaysWhatIsThereInstead) {
  const PatternId expected{.run = 1, .lba = 10, .generation = 3};
  EXPECT_NE(explained({1, 10, 2}, expected).find("holds write 2: a write was lost"), std::string::npos);
  EXPECT_NE(explained({1, 11, 3}, expected).find("data of block 11"), std::string::npos);
  EXPECT_NE(explained({2, 10, 3}, expected).find("earlier run"), std::string::npos);
  std::vector<std::byte> block(512);
  EXPECT_NE(explain_mismatch(block, expected).find("zeroes"), std::string::npos);
  block[100] = std::byte{1};
  EXPECT_NE(explain_mismatch(block, expected).find("not written by this program"), std::string::npos);
  fill_pattern(block, expected);
  block[100] ^= std::byte{1};
  EXPECT_NE(explain_mismatch(block, expected).find("damaged"), std::string::npos);
}

TEST(Random, SpreadsOverSmallAndLargeRanges) {
  Random random{1};
  std::vector<unsigned> hits(10);
  for (int i = 0; i < 100'000; ++i) ++hits[Random::below(random.next(), hits.size())];
  for (const unsigned n : hits) EXPECT_NEAR(n, 10'000, 600);
  EXPECT_EQ(Random::below(UINT64_MAX, 7), 6U);
  EXPECT_EQ(Random::below(0, 7), 0U);
}

TEST(Random, LowBitsAreIndependentOfTheHighOnes) {
  Random random{9};
  unsigned both = 0;
  for (int i = 0; i < 100'000; ++i) {
    const std::uint64_t draw = random.next();
    both += (draw >> 63) & (draw & 1);
  }
  EXPECT_NEAR(both, 25'000, 1000);
}

TEST(Random, SeedsGiveDifferentSequences) {
  std::set<std::uint64_t> firsts;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) firsts.insert(Random{seed}.next());
  EXPECT_EQ(firsts.size(), 1000U);
}

}  // namespace
}  // namespace spdkio::tool
