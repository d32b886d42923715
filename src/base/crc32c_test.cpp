#include <spdkio/base/crc32c.hpp>

#include "base/crc32c_kernels.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string_view>
#include <vector>

namespace spdkio {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span{text}); }

std::vector<std::byte> random_bytes(std::size_t size, unsigned seed) {
  std::mt19937 generator(seed);
  std::vector<std::byte> data(size);
  for (auto& b : data) b = static_cast<std::byte>(generator());
  return data;
}

// The definition, a bit at a time.
std::uint32_t bitwise(std::span<const std::byte> data) {
  std::uint32_t state = ~0u;
  for (const std::byte b : data) {
    state ^= std::to_integer<std::uint32_t>(b);
    for (int i = 0; i < 8; ++i) state = state >> 1 ^ ((state & 1) != 0 ? 0x82F6'3B78 : 0);
  }
  return ~state;
}

TEST(Crc32c, KnownValues) {
  EXPECT_EQ(crc32c({}), 0u);
  EXPECT_EQ(crc32c(bytes_of("123456789")), 0xE3069283u);
  // RFC 3720, appendix B.4
  std::vector<std::byte> data(32);
  EXPECT_EQ(crc32c(data), 0x8A9136AAu);
  for (auto& b : data) b = std::byte{0xFF};
  EXPECT_EQ(crc32c(data), 0x62A8AB43u);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i);
  EXPECT_EQ(crc32c(data), 0x46DD794Eu);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(31 - i);
  EXPECT_EQ(crc32c(data), 0x113FDB5Cu);
}

TEST(Crc32c, EveryKernelAgreesWithTheDefinition) {
  const auto data = random_bytes(60'000, 1);
  std::vector<Crc32cKernel> kernels{crc32c_table};
  if (const Crc32cKernel fast = crc32c_sse42_kernel()) kernels.push_back(fast);
  std::vector<std::size_t> sizes{503,  504,  505,  511,  512,    1008,   1016,   4079,   4080,  4081,
                                 4095, 4096, 4584, 8160, 12'345, 24'479, 24'480, 24'481, 53'555};
  for (std::size_t size = 0; size < 64; ++size) sizes.push_back(size);
  for (const std::size_t size : sizes) {
    for (std::size_t offset : {0u, 1u, 5u, 8u}) {
      const std::span part{data.data() + offset, size};
      const std::uint32_t expected = bitwise(part);
      for (std::size_t k = 0; k < kernels.size(); ++k) {
        EXPECT_EQ(~kernels[k](~0u, part.data(), part.size()), expected)
            << "kernel " << k << ", " << size << '+' << offset;
      }
    }
  }
}

TEST(Crc32c, ContinuesAcrossAnySplit) {
  const auto data = random_bytes(9000, 2);
  const std::span all{data};
  const std::uint32_t whole = crc32c(all);
  for (std::size_t split : {0u, 1u, 7u, 8u, 503u, 504u, 4079u, 4080u, 8999u, 9000u}) {
    EXPECT_EQ(crc32c(crc32c(all.first(split)), all.subspan(split)), whole) << split;
  }
}

TEST(Crc32c, SeesEverySingleBit) {
  auto data = random_bytes(600, 3);
  const std::uint32_t before = crc32c(data);
  for (std::size_t i = 0; i < data.size(); ++i) {
    data[i] ^= std::byte{0x10};
    EXPECT_NE(crc32c(data), before) << i;
    data[i] ^= std::byte{0x10};
  }
}

TEST(Crc32c, NamesTheKernelInUse) {
  EXPECT_EQ(crc32c_implementation(), crc32c_sse42_kernel() != nullptr ? "sse4.2" : "table");
}

}  // namespace
}  // namespace spdkio
