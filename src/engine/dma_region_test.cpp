#include <spdkio/engine/dma_region.hpp>

#include <gtest/gtest.h>

#include <array>
#include <utility>

#include "engine/fake_engine.hpp"

namespace spdkio {
namespace {

struct Memory {
  alignas(4096) std::array<std::byte, 8192> bytes{};
};

TEST(DmaRegion, IsRegisteredForItsLife) {
  engine::FakeEngine engine;
  const auto memory = std::make_unique<Memory>();
  auto& regions = engine.fake_memory().regions;
  {
    DmaRegion region{memory->bytes};
    EXPECT_EQ(regions.size(), 1u);
    EXPECT_EQ(region.span().size(), 8192u);
    EXPECT_EQ(region.subspan(4096, 10).data(), memory->bytes.data() + 4096);
    EXPECT_EQ(region.iova()->length, 8192u);
    EXPECT_THROW(DmaRegion{memory->bytes}, Error);

    DmaRegion moved{std::move(region)};
    EXPECT_EQ(regions.size(), 1u);
    EXPECT_TRUE(region.span().empty());
    EXPECT_FALSE(region.iova().has_value());
    const auto other = std::make_unique<Memory>();
    moved = DmaRegion{other->bytes};
    EXPECT_EQ(regions.size(), 1u);
    EXPECT_EQ(moved.span().data(), other->bytes.data());
  }
  EXPECT_TRUE(regions.empty());
}

TEST(DmaRegion, NeedsAnEngine) {
  const auto memory = std::make_unique<Memory>();
  try {
    const DmaRegion region{memory->bytes};
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Misuse::not_started);
  }
}

}  // namespace
}  // namespace spdkio
