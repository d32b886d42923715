#include <spdkio/base/error.hpp>
#include <spdkio/base/uuid.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unordered_set>

namespace spdkio {
namespace {

using testing::HasSubstr;

constexpr const char* text = "00112233-4455-6677-8899-aabbccddeeff";

TEST(Uuid, ParsesAndPrints) {
  const Uuid uuid = Uuid::parse(text);
  for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(uuid.bytes[i], i * 0x11);
  EXPECT_EQ(uuid.to_string(), text);
  EXPECT_EQ(Uuid::parse("00112233-4455-6677-8899-AABBCCDDEEFF"), uuid);
}

TEST(Uuid, NilIsTheDefault) {
  EXPECT_TRUE(Uuid{}.is_nil());
  EXPECT_FALSE(Uuid::parse(text).is_nil());
  EXPECT_EQ(Uuid{}.to_string(), "00000000-0000-0000-0000-000000000000");
}

void expect_refused(std::string_view bad, const char* where, const char* why) {
  try {
    Uuid::parse(bad);
    ADD_FAILURE() << "accepted " << bad;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Misuse::invalid_argument);
    EXPECT_THAT(error.what(), HasSubstr(bad));
    EXPECT_THAT(error.what(), HasSubstr(where)) << bad;
    EXPECT_THAT(error.what(), HasSubstr(why)) << bad;
  }
}

TEST(Uuid, RefusesOtherForms) {
  expect_refused("", "position 1:", "too early");
  expect_refused("00112233-4455-6677-8899-aabbccddeef", "position 36:", "too early");
  expect_refused("00112233-4455-6677-8899-aabbccddeeff0", "position 37:", "end is expected");
  expect_refused("00112233445566778899aabbccddeeff", "position 9:", "'-' is expected");
  expect_refused("0011223g-4455-6677-8899-aabbccddeeff", "position 8:", "hexadecimal");
  expect_refused("{0112233-4455-6677-8899-aabbccddeeff", "position 1:", "hexadecimal");
  expect_refused("00112233-4455-6677-8899-aabb-cddeeff", "position 29:", "hexadecimal");
}

TEST(Uuid, RandomOnesAreVersion4AndDiffer) {
  std::unordered_set<Uuid> seen;
  for (int i = 0; i < 1000; ++i) {
    const Uuid uuid = Uuid::random();
    EXPECT_EQ(uuid.bytes[6] >> 4, 4);
    EXPECT_EQ(uuid.bytes[8] >> 6, 2);
    EXPECT_TRUE(seen.insert(uuid).second);
    EXPECT_EQ(Uuid::parse(uuid.to_string()), uuid);
  }
}

TEST(Uuid, ComparesInTheOrderOfItsText) {
  EXPECT_LT(Uuid::parse("00000000-0000-0000-0000-0000000000ff"), Uuid::parse("00000000-0000-0000-0000-000000000100"));
  EXPECT_GT(Uuid::parse("10000000-0000-0000-0000-000000000000"), Uuid::parse("0fffffff-ffff-ffff-ffff-ffffffffffff"));
}

TEST(Uuid, HashSpreadsUuidsThatHardlyDiffer) {
  std::unordered_set<std::size_t> hashes;
  Uuid uuid;
  for (unsigned i = 0; i < 4096; ++i) {
    uuid.bytes[14] = static_cast<std::uint8_t>(i >> 8);
    uuid.bytes[15] = static_cast<std::uint8_t>(i);
    hashes.insert(std::hash<Uuid>{}(uuid));
  }
  EXPECT_EQ(hashes.size(), 4096u);
}

}  // namespace
}  // namespace spdkio
