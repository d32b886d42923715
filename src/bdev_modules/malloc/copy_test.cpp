#include "bdev_modules/malloc/copy.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "bdev_modules/malloc/touched_pages.hpp"

namespace spdkio::bdev {
namespace {

std::vector<std::byte> numbered(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 7 + i / 256);
  return bytes;
}

/// Where the copy starts in its line, and how long it is: whole lines, parts of lines, nothing.
class CopyTest : public testing::TestWithParam<std::pair<std::size_t, std::size_t>> {
 protected:
  /// Expects that `copy(to, from, bytes)` writes what it should and nothing beside it.
  template <class Copy>
  void check(Copy copy) {
    const auto [offset, bytes] = GetParam();
    const std::vector<std::byte> from = numbered(bytes);
    constexpr std::byte untouched{0xEE};
    std::vector<std::byte> memory(bytes + 256, untouched);
    std::byte* const line = memory.data() + (64 - reinterpret_cast<std::uintptr_t>(memory.data()) % 64) % 64;
    std::byte* const to = line + offset;
    copy(to, from.data(), bytes);
    EXPECT_TRUE(std::equal(from.begin(), from.end(), to));
    const auto is_untouched = [](std::byte byte) { return byte == untouched; };
    EXPECT_TRUE(std::all_of(memory.data(), to, is_untouched));
    EXPECT_TRUE(std::all_of(to + bytes, memory.data() + memory.size(), is_untouched));
  }
};

TEST_P(CopyTest, AroundTheCache) {
  check([](std::byte* to, const std::byte* from, std::size_t bytes) {
    copy_around_cache(to, from, bytes);
    finish_copies_around_cache();
  });
}

TEST_P(CopyTest, WithAndWithoutSomethingToAskFor) {
  const std::vector<std::byte> next(256 * 1024);
  check([&](std::byte* to, const std::byte* from, std::size_t bytes) {
    copy_and_prefetch(to, from, bytes, next.data());
  });
  check([](std::byte* to, const std::byte* from, std::size_t bytes) { copy_and_prefetch(to, from, bytes, nullptr); });
}

TEST_P(CopyTest, FourSideBySide) {
  const std::size_t bytes = GetParam().second;
  std::array<std::vector<std::byte>, 3> others;
  for (auto& other : others) other.resize(bytes);
  check([&](std::byte* to, const std::byte* from, std::size_t length) {
    copy_side_by_side({{{others[0].data(), from}, {others[1].data(), from}, {to, from}, {others[2].data(), from}}},
                      length);
  });
  for (const auto& other : others) EXPECT_EQ(other, numbered(bytes));
}

INSTANTIATE_TEST_SUITE_P(Shapes, CopyTest,
                         testing::Values(std::pair{0, 4096}, std::pair{0, 512}, std::pair{0, 520}, std::pair{8, 520},
                                         std::pair{32, 4096}, std::pair{1, 63}, std::pair{0, 64}, std::pair{0, 0},
                                         std::pair{5, 4099}, std::pair{0, 131072}, std::pair{7, 65536 + 200}));

TEST(CopySideBySideTest, OfCopiesToTheSamePlaceTheLastOneStays) {
  constexpr std::size_t bytes = 512;
  const std::vector<std::byte> a(bytes, std::byte{1});
  const std::vector<std::byte> b(bytes, std::byte{2});
  std::vector<std::byte> to(bytes);
  std::vector<std::byte> elsewhere(bytes);
  copy_side_by_side(
      {{{to.data(), a.data()}, {elsewhere.data(), a.data()}, {to.data(), b.data()}, {elsewhere.data(), a.data()}}},
      bytes);
  EXPECT_EQ(to, b);
}

TEST(TouchedPagesTest, RemembersPagesUntilOthersTakeTheirPlace) {
  TouchedPages pages;
  EXPECT_FALSE(pages.touch(0));
  EXPECT_TRUE(pages.touch(0));
  EXPECT_TRUE(pages.touch(4095)) << "the same page";
  EXPECT_FALSE(pages.touch(4096));
  EXPECT_TRUE(pages.touch(0));
  constexpr std::uint64_t remembered = 4096 * TouchedPages::page_size;
  EXPECT_FALSE(pages.touch(remembered)) << "another page in the same place";
  EXPECT_FALSE(pages.touch(0));
}

}  // namespace
}  // namespace spdkio::bdev
