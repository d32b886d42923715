#include "bdev_modules/malloc/copy.hpp"

#include <gtest/gtest.h>

#include <algorithm>
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
  const std::vector<std::byte> next(8192);
  check([&](std::byte* to, const std::byte* from, std::size_t bytes) {
    copy_and_prefetch(to, from, bytes, next.data());
  });
  check([](std::byte* to, const std::byte* from, std::size_t bytes) { copy_and_prefetch(to, from, bytes, nullptr); });
}

INSTANTIATE_TEST_SUITE_P(Shapes, CopyTest,
                         testing::Values(std::pair{0, 4096}, std::pair{0, 512}, std::pair{0, 520}, std::pair{8, 520},
                                         std::pair{32, 4096}, std::pair{1, 63}, std::pair{0, 64}, std::pair{0, 0},
                                         std::pair{5, 4099}));

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
