#include "bdev/dif.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string_view>
#include <vector>

namespace spdkio::bdev {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

TEST(Crc16T10Test, KnownValues) {
  EXPECT_EQ(crc16_t10(0, {}), 0x0000);
  EXPECT_EQ(crc16_t10(0, bytes_of("123456789")), 0xD0DB);  // the check value of CRC-16/T10-DIF
  const std::vector<std::byte> zeroes(32, std::byte{0});
  EXPECT_EQ(crc16_t10(0, zeroes), 0x0000);
  const std::vector<std::byte> ones(32, std::byte{0xFF});
  EXPECT_EQ(crc16_t10(0, ones), 0xA293);
}

TEST(Crc16T10Test, GoesOnWhereItStopped) {
  const std::string_view text = "123456789";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    EXPECT_EQ(crc16_t10(crc16_t10(0, bytes_of(text.substr(0, cut))), bytes_of(text.substr(cut))), 0xD0DB);
  }
}

class DifTupleTest : public ::testing::Test {
 protected:
  std::array<std::byte, 512> data_{};
  std::array<std::byte, 16> metadata_{};
};

TEST_F(DifTupleTest, LiesWhereItIsAskedFor) {
  metadata_.fill(std::byte{0x77});
  data_[0] = std::byte{1};
  generate_dif(DifType::type1, true, data_, metadata_, 0x123456789);
  EXPECT_EQ(metadata_[2], std::byte{0});
  EXPECT_EQ(metadata_[4], std::byte{0x23});
  EXPECT_EQ(metadata_[7], std::byte{0x89});
  EXPECT_EQ(metadata_[8], std::byte{0x77}) << "what follows is left alone";
  metadata_.fill(std::byte{0x77});
  generate_dif(DifType::type1, false, data_, metadata_, 1);
  EXPECT_EQ(metadata_[7], std::byte{0x77});
  EXPECT_EQ(metadata_[15], std::byte{1});
}

TEST_F(DifTupleTest, EachFieldIsChecked) {
  for (const bool at_start : {true, false}) {
    generate_dif(DifType::type1, at_start, data_, metadata_, 9);
    EXPECT_TRUE(verify_dif(DifType::type1, at_start, data_, metadata_, 9).ok());
    EXPECT_EQ(verify_dif(DifType::type1, at_start, data_, metadata_, 10), nvme_sc::reference_tag_check_error);
    data_[511] ^= std::byte{0x80};
    EXPECT_EQ(verify_dif(DifType::type1, at_start, data_, metadata_, 9), nvme_sc::guard_check_error);
    data_[511] ^= std::byte{0x80};
  }
}

TEST_F(DifTupleTest, TheGuardCoversMetadataInFrontOfIt) {
  generate_dif(DifType::type1, false, data_, metadata_, 9);
  metadata_[0] ^= std::byte{1};
  EXPECT_EQ(verify_dif(DifType::type1, false, data_, metadata_, 9), nvme_sc::guard_check_error);
}

TEST_F(DifTupleTest, TheEscapeSwitchesTheChecksOff) {
  for (const DifType type : {DifType::type1, DifType::type2, DifType::type3}) {
    escape_dif(false, metadata_);
    EXPECT_TRUE(verify_dif(type, false, data_, metadata_, 5).ok());
  }
  // Type 3 needs the reference tag as well.
  metadata_[15] = std::byte{0};
  EXPECT_TRUE(verify_dif(DifType::type1, false, data_, metadata_, 5).ok());
  EXPECT_EQ(verify_dif(DifType::type3, false, data_, metadata_, 5), nvme_sc::guard_check_error);
}

}  // namespace
}  // namespace spdkio::bdev
