
#include "spdkio/copy/crc32c_combine.hpp"

#include <spdkio/base/crc32c.hpp>

#include <gtest/gtest.h>

#include <vector>

namespace spdkio::tool {
namespace {

TEST(Crc32cJoin, EqualsTheChecksumOfTheWhole) {
  std::vector<std::byte> data(70'000);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i * 31 >> 3);
  const std::span<const std::byte> all{data};
  for (const std::size_t cut : {0UL, 1UL, 7UL, 512UL, 4096UL, 65'536UL, 69'999UL, 70'000UL}) {
    const Crc32cJoin join{data.size() - cut};
    EXPECT_EQ(join(crc32c(all.first(cut)), crc32c(all.subspan(cut))), crc32c(all)) << cut;
  }
}

TEST(Crc32cJoin, ManyPartsInARow) {
  const std::vector<std::byte> part(4096, std::byte{0x5A});
  const Crc32cJoin join{part.size()};
  std::uint32_t joined = 0;
  std::uint32_t straight = 0;
  for (int i = 0; i < 1000; ++i) {
    joined = join(joined, crc32c(part));
    straight = crc32c(straight, part);
  }
  EXPECT_EQ(joined, straight);
}

TEST(Crc32cJoin, LengthsBeyondFourGigabytes) {
  // 2^32 bytes at once and as 2^16 times 2^16 bytes of zeroes.
  const Crc32cJoin once{std::uint64_t{1} << 32};
  const Crc32cJoin step{std::uint64_t{1} << 16};
  std::uint32_t by_steps = 0x12345678;
  for (int i = 0; i < 65'536; ++i) by_steps = step(by_steps, 0);
  EXPECT_EQ(once(0x12345678, 0), by_steps);
}

}  // namespace
}  // namespace spdkio::tool
