#include <spdkio/engine/dma_buf.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "engine/fake_engine.hpp"

namespace spdkio {
namespace {

std::error_code code_of(std::size_t size, const DmaBufOptions& options = {}) {
  const auto made = DmaBuf::allocate(size, options);
  return made ? std::error_code{} : made.error().code();
}

bool all(const DmaBuf& buf, std::byte value) {
  return std::ranges::all_of(buf.bytes(), [&](std::byte b) { return b == value; });
}

TEST(DmaBuf, NeedsAnEngine) {
  EXPECT_EQ(code_of(4096), Misuse::not_started);
  EXPECT_THROW(DmaBuf{4096}, Error);
}

TEST(DmaBuf, RefusesWhatCanNeverBeRight) {
  const engine::FakeEngine engine;
  EXPECT_EQ(code_of(0), Misuse::invalid_argument);
  EXPECT_EQ(code_of(4096, {.alignment = 0}), Misuse::invalid_argument);
  EXPECT_EQ(code_of(4096, {.alignment = 4095}), Misuse::invalid_argument);
}

TEST(DmaBuf, OwnsItsMemory) {
  engine::FakeEngine engine;
  {
    DmaBuf buf{10'000, {.alignment = 8192}};
    EXPECT_EQ(buf.size(), 10'000u);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buf.data()) % 8192, 0u);
    EXPECT_TRUE(all(buf, std::byte{0})) << "zeroed unless asked otherwise";
    buf.fill(std::byte{0xAB});
    EXPECT_TRUE(all(buf, std::byte{0xAB}));
    buf[3] = std::byte{1};
    EXPECT_EQ(buf.span().bytes()[3], std::byte{1});
    EXPECT_EQ(buf.iova()->length, 10'000u);
    const DmaSpan as_argument = buf;
    EXPECT_EQ(as_argument.data(), buf.data());
    EXPECT_EQ(engine.fake_memory().allocations, 1u);
  }
  EXPECT_EQ(engine.fake_memory().allocations, 0u);
}

TEST(DmaBuf, Moves) {
  engine::FakeEngine engine;
  DmaBuf first{512};
  DmaBuf second{1024};
  std::byte* const memory = first.data();
  DmaBuf third{std::move(first)};
  EXPECT_EQ(third.data(), memory);
  second = std::move(third);
  EXPECT_EQ(second.data(), memory);
  EXPECT_EQ(second.size(), 512u);
  second = DmaBuf{};
  EXPECT_TRUE(second.empty());
  EXPECT_FALSE(second.iova().has_value());
}

TEST(DmaBuf, NoMemoryIsAnErrorWithAHint) {
  engine::FakeEngine engine;
  engine.fake_memory().limit = 8192;
  const DmaBuf most{8192};
  const auto refused = DmaBuf::allocate(4096, {.numa_node = 3});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), std::errc::not_enough_memory);
  const std::string text = refused.error().what();
  EXPECT_NE(text.find("4096 bytes"), std::string::npos) << text;
  EXPECT_NE(text.find("NUMA node 3"), std::string::npos) << text;
  EXPECT_NE(refused.error().hint().find("a fake"), std::string::npos) << text;
  EXPECT_THROW(DmaBuf{4096}, Error);
}

TEST(DmaBuf, PassesTheNodeOn) {
  engine::FakeEngine engine;
  const DmaBuf buf{4096, {.numa_node = 1}};
  EXPECT_EQ(engine.fake_memory().last_node, 1);
}

}  // namespace
}  // namespace spdkio
