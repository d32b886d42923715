#include <spdkio/base/base64.hpp>
#include <spdkio/base/error.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace spdkio {
namespace {

using testing::HasSubstr;

std::string encode(std::string_view text) { return base64_encode(std::as_bytes(std::span{text})); }

std::string decode(std::string_view text) {
  const auto data = base64_decode(text);
  return {reinterpret_cast<const char*>(data.data()), data.size()};
}

// RFC 4648, section 10
constexpr std::pair<std::string_view, std::string_view> vectors[] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
};

TEST(Base64, VectorsOfTheStandard) {
  for (const auto& [plain, text] : vectors) {
    EXPECT_EQ(encode(plain), text);
    EXPECT_EQ(decode(text), plain);
  }
  EXPECT_EQ(encode("\xfb\xff\xbf"), "+/+/");
}

TEST(Base64, RoundTripsAllBytesAndLengths) {
  std::mt19937 generator(5);
  for (std::size_t size = 0; size < 300; ++size) {
    std::vector<std::byte> data(size);
    for (auto& b : data) b = static_cast<std::byte>(generator());
    EXPECT_EQ(base64_decode(base64_encode(data)), data);
  }
}

void expect_refused(std::string_view text, const char* where, const char* why) {
  try {
    base64_decode(text);
    ADD_FAILURE() << "accepted " << text;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Misuse::invalid_argument);
    EXPECT_THAT(error.what(), HasSubstr(where)) << text;
    EXPECT_THAT(error.what(), HasSubstr(why)) << text;
  }
}

TEST(Base64, IsStrict) {
  expect_refused("Zg", "position 3:", "multiple of 4");
  expect_refused("Zg=", "position 4:", "multiple of 4");
  expect_refused("Zm9vYg", "position 7:", "multiple of 4");
  expect_refused("Zm9v\nA==", "position 5:", "not a digit");
  expect_refused("Zm 9", "position 3:", "not a digit");
  expect_refused("Zm-_", "position 3:", "not a digit");
  expect_refused("Zm9\x80", "position 4:", "not a digit");
  expect_refused("Zg==Zg==", "position 3:", "padding inside");
  expect_refused("Z===", "position 2:", "padding inside");
  expect_refused("====", "position 1:", "padding inside");
  expect_refused("Zh==", "position 2:", "no byte uses");
  expect_refused("Zm9=", "position 3:", "no byte uses");
}

}  // namespace
}  // namespace spdkio
