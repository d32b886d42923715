#include <spdkio/base/byte_size.hpp>
#include <spdkio/base/error.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace spdkio {
namespace {

using testing::HasSubstr;

TEST(ByteSize, Parses) {
  EXPECT_EQ(parse_byte_size("0").value, 0u);
  EXPECT_EQ(parse_byte_size("512").value, 512u);
  EXPECT_EQ(parse_byte_size("512B").value, 512u);
  EXPECT_EQ(parse_byte_size("4k").value, 4096u);
  EXPECT_EQ(parse_byte_size("4K").value, 4096u);
  EXPECT_EQ(parse_byte_size("4KiB").value, 4096u);
  EXPECT_EQ(parse_byte_size("4 kib").value, 4096u);
  EXPECT_EQ(parse_byte_size("1MiB").value, 1u << 20);
  EXPECT_EQ(parse_byte_size("3g").value, std::uint64_t{3} << 30);
  EXPECT_EQ(parse_byte_size("2T").value, std::uint64_t{2} << 40);
  EXPECT_EQ(parse_byte_size("2P").value, std::uint64_t{2} << 50);
  EXPECT_EQ(parse_byte_size("15E").value, std::uint64_t{15} << 60);
  EXPECT_EQ(parse_byte_size("18446744073709551615").value, UINT64_MAX);
}

void expect_refused(std::string_view text, const char* why) {
  try {
    parse_byte_size(text);
    ADD_FAILURE() << "accepted " << text;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Misuse::invalid_argument);
    EXPECT_THAT(error.what(), HasSubstr("\"" + std::string(text) + "\""));
    EXPECT_THAT(error.what(), HasSubstr(why)) << text;
  }
}

TEST(ByteSize, RefusesTheRest) {
  expect_refused("", "a number is expected");
  expect_refused("k", "a number is expected");
  expect_refused("-1", "a number is expected");
  expect_refused("+1", "a number is expected");
  expect_refused(" 1", "a number is expected");
  expect_refused("1.5G", "fractions");
  expect_refused("4KB", "write KiB for 1024");
  expect_refused("4mb", "write MiB for 1024");
  expect_refused("4x", "unknown unit \"x\"");
  expect_refused("4kk", "unknown unit \"kk\"");
  expect_refused("4  k", "unknown unit");
  expect_refused("4k ", "unknown unit");
  expect_refused("4 ", "unknown unit");
  expect_refused("0x10", "unknown unit \"x10\"");
  expect_refused("16E", "larger than 2^64");
  expect_refused("18446744073709551616", "larger than 2^64");
  expect_refused("18014398509481984k", "larger than 2^64");
}

TEST(ByteSize, FormatsBytes) {
  EXPECT_EQ(format_bytes(ByteCount{0}), "0 B");
  EXPECT_EQ(format_bytes(ByteCount{512}), "512 B");
  EXPECT_EQ(format_bytes(ByteCount{1023}), "1023 B");
  EXPECT_EQ(format_bytes(ByteCount{1024}), "1 KiB");
  EXPECT_EQ(format_bytes(ByteCount{1536}), "1.50 KiB");
  EXPECT_EQ(format_bytes(ByteCount{4096}), "4 KiB");
  EXPECT_EQ(format_bytes(ByteCount{1023 * 1024}), "1023 KiB");
  EXPECT_EQ(format_bytes(ByteCount{1024 * 1024 - 1}), "1.00 MiB");
  EXPECT_EQ(format_bytes(ByteCount{1299227607}), "1.21 GiB");
  EXPECT_EQ(format_bytes(ByteCount{std::uint64_t{100} << 30}), "100 GiB");
  EXPECT_EQ(format_bytes(ByteCount{UINT64_MAX}), "16 EiB");
}

TEST(ByteSize, FormatsRates) {
  EXPECT_EQ(format_rate(0), "0 B/s");
  EXPECT_EQ(format_rate(1.21 * 1024 * 1024 * 1024), "1.21 GiB/s");
  EXPECT_EQ(format_rate(12.34 * 1024 * 1024), "12.3 MiB/s");
  EXPECT_EQ(format_rate(-1), "0 B/s");
  EXPECT_EQ(format_rate(std::nan("")), "0 B/s");
}

TEST(ByteSize, FormatsCounts) {
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(7), "7");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(999.7), "1.00 k");
  EXPECT_EQ(format_count(1310000), "1.31 M");
  EXPECT_EQ(format_count(250'000), "250 k");
  EXPECT_EQ(format_count(9999), "10.0 k");
  EXPECT_EQ(format_count(2.5), "2.50");
  EXPECT_EQ(format_count(3.2e21), "3200 E");
  EXPECT_EQ(format_count(-3), "0");
}

}  // namespace
}  // namespace spdkio
