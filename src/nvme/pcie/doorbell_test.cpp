#include "nvme/pcie/doorbell.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

namespace spdkio::nvme::pcie {
namespace {

class DoorbellTest : public testing::Test {
 protected:
  std::uint32_t written() const { return read32(register_.data()); }
  std::uint32_t shadow() const { return read32(shadow_.data()); }
  void expect_event(std::uint32_t index) { write32(event_.data(), index); }

  alignas(8) std::array<std::byte, 8> register_{};
  alignas(8) std::array<std::byte, 8> shadow_{};
  alignas(8) std::array<std::byte, 8> event_{};
  Doorbell plain_{register_.data()};
  Doorbell shadowed_{register_.data(), shadow_.data(), event_.data()};
};

TEST_F(DoorbellTest, WithoutAShadowTheRegisterIsWritten) {
  EXPECT_TRUE(plain_.ring(5));
  EXPECT_EQ(written(), 5u);
}

TEST_F(DoorbellTest, RegisterIsWrittenWhenTheExpectedIndexIsPassed) {
  expect_event(0);
  EXPECT_TRUE(shadowed_.ring(1));
  EXPECT_EQ(shadow(), 1u);
  EXPECT_EQ(written(), 1u);

  // The controller is at work: it wants to hear when 10 is passed.
  expect_event(10);
  EXPECT_FALSE(shadowed_.ring(4));
  EXPECT_FALSE(shadowed_.ring(10));
  EXPECT_EQ(shadow(), 10u);
  EXPECT_EQ(written(), 1u);
  EXPECT_TRUE(shadowed_.ring(11));
  EXPECT_EQ(written(), 11u);
  EXPECT_FALSE(shadowed_.ring(12)) << "passed already";
}

TEST_F(DoorbellTest, AStepOverTheExpectedIndexCounts) {
  expect_event(3);
  EXPECT_TRUE(shadowed_.ring(9));
  EXPECT_EQ(written(), 9u);
}

TEST_F(DoorbellTest, IndexesWrapWithTheQueue) {
  expect_event(0);
  EXPECT_TRUE(shadowed_.ring(30));
  // A queue of 32 entries: from 30 to 2 passes 31 and 0, and the controller waits at 31.
  expect_event(31);
  EXPECT_TRUE(shadowed_.ring(2));
  EXPECT_EQ(written(), 2u);
}

}  // namespace
}  // namespace spdkio::nvme::pcie
