#include <spdkio/engine/dma_span.hpp>

#include <spdkio/base/error.hpp>

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <type_traits>
#include <utility>

namespace spdkio {
namespace {

// Ordinary memory does not become a DmaSpan by accident.
static_assert(!std::is_convertible_v<std::span<std::byte>, DmaSpan>);
static_assert(!std::is_constructible_v<DmaSpan, std::byte*, std::size_t>);

TEST(DmaSpan, PartsAreBounded) {
  std::array<std::byte, 16> memory{};
  const DmaSpan span = DmaSpan::from_registered(memory.data(), memory.size());
  EXPECT_EQ(span.subspan(4, 8).data(), memory.data() + 4);
  EXPECT_EQ(span.subspan(4, 8).size(), 8u);
  EXPECT_EQ(span.first(16).size(), 16u);
  EXPECT_TRUE(span.subspan(16, 0).empty());

  constexpr std::size_t huge = std::numeric_limits<std::size_t>::max();
  for (const auto& [offset, count] :
       std::to_array<std::pair<std::size_t, std::size_t>>({{0, 17}, {17, 0}, {8, 9}, {8, huge}, {huge, 2}})) {
    try {
      [[maybe_unused]] const DmaSpan part = span.subspan(offset, count);
      FAIL() << offset << " " << count;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Misuse::out_of_range);
    }
  }
}

}  // namespace
}  // namespace spdkio
