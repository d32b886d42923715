#include <spdkio/base/units.hpp>

#include <gtest/gtest.h>

#include <concepts>
#include <type_traits>

namespace spdkio {
namespace {

template <class A, class B>
concept Addable = requires(A a, B b) { a + b; };

// What must not compile is the point of these types.
static_assert(!std::is_convertible_v<std::uint64_t, Lba>);
static_assert(!std::is_convertible_v<std::uint64_t, BlockCount>);
static_assert(!std::is_convertible_v<std::uint64_t, ByteCount>);
static_assert(!std::is_convertible_v<Lba, ByteOffset>);
static_assert(!std::is_convertible_v<BlockCount, ByteCount>);
static_assert(!std::equality_comparable_with<Lba, BlockCount>);
static_assert(!Addable<Lba, Lba>);
static_assert(!Addable<Lba, ByteCount>);
static_assert(!Addable<ByteOffset, BlockCount>);
static_assert(Addable<Lba, BlockCount> && Addable<ByteOffset, ByteCount>);

TEST(Units, ArithmeticKeepsTheUnit) {
  EXPECT_EQ(Lba{8} + BlockCount{4}, Lba{12});
  EXPECT_EQ(Lba{8} - BlockCount{3}, Lba{5});
  EXPECT_EQ(Lba{8} - Lba{3}, BlockCount{5});
  EXPECT_EQ(BlockCount{2} + BlockCount{5} - BlockCount{1}, BlockCount{6});
  EXPECT_EQ(ByteOffset{512} + ByteCount{512}, ByteOffset{1024});
  Lba lba{1};
  lba += BlockCount{2};
  EXPECT_EQ(lba, Lba{3});
  BlockCount blocks{1};
  blocks += BlockCount{2};
  EXPECT_EQ(blocks, BlockCount{3});
}

TEST(Units, Compare) {
  EXPECT_LT(Lba{1}, Lba{2});
  EXPECT_GT(BlockCount{3}, BlockCount{2});
  EXPECT_LE(ByteOffset{3}, ByteOffset{3});
  EXPECT_NE(ByteCount{3}, ByteCount{4});
}

TEST(Units, LiteralsArePowersOf1024) {
  using namespace literals;
  EXPECT_EQ(4_KiB, ByteCount{4096});
  EXPECT_EQ(1_MiB, ByteCount{1048576});
  EXPECT_EQ(2_GiB, ByteCount{2147483648});
}

TEST(LbaRange, FitsWithoutWrapping) {
  EXPECT_TRUE((LbaRange{Lba{0}, BlockCount{100}}.fits(BlockCount{100})));
  EXPECT_TRUE((LbaRange{Lba{99}, BlockCount{1}}.fits(BlockCount{100})));
  EXPECT_TRUE((LbaRange{Lba{100}, BlockCount{0}}.fits(BlockCount{100})));
  EXPECT_FALSE((LbaRange{Lba{100}, BlockCount{1}}.fits(BlockCount{100})));
  EXPECT_FALSE((LbaRange{Lba{99}, BlockCount{2}}.fits(BlockCount{100})));
  EXPECT_FALSE((LbaRange{Lba{101}, BlockCount{0}}.fits(BlockCount{100})));
  EXPECT_FALSE((LbaRange{Lba{UINT64_MAX}, BlockCount{2}}.fits(BlockCount{100})));
  EXPECT_FALSE((LbaRange{Lba{2}, BlockCount{UINT64_MAX}}.fits(BlockCount{100})));
  EXPECT_TRUE((LbaRange{Lba{0}, BlockCount{UINT64_MAX}}.fits(BlockCount{UINT64_MAX})));
}

TEST(LbaRange, Overlaps) {
  const LbaRange range{Lba{10}, BlockCount{5}};
  EXPECT_EQ(range.end(), Lba{15});
  EXPECT_TRUE(range.overlaps({Lba{14}, BlockCount{1}}));
  EXPECT_TRUE(range.overlaps({Lba{0}, BlockCount{11}}));
  EXPECT_TRUE(range.overlaps({Lba{12}, BlockCount{1}}));
  EXPECT_TRUE(range.overlaps({Lba{0}, BlockCount{100}}));
  EXPECT_FALSE(range.overlaps({Lba{15}, BlockCount{1}}));
  EXPECT_FALSE(range.overlaps({Lba{0}, BlockCount{10}}));
}

}  // namespace
}  // namespace spdkio
