#include <spdkio/rpc/json_framer.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace spdkio::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> drain(JsonFramer& framer) {
  std::vector<std::string> out;
  while (true) {
    auto value = framer.next();
    if (!value) {
      out.push_back(std::string("error ") + value.error().what());
      return out;
    }
    if (!*value) return out;
    out.push_back(dump_json(**value));
  }
}

TEST(JsonFramer, CutsAStreamIntoValues) {
  JsonFramer framer;
  framer.push("{\"a\":1}{\"b\":2}\n\n [1,2]\"s\"true 12 {");
  EXPECT_THAT(drain(framer), ElementsAre("{\"a\":1}", "{\"b\":2}", "[1,2]", "\"s\"", "true", "12"));
  EXPECT_TRUE(framer.in_value());
  framer.push("}  ");
  EXPECT_THAT(drain(framer), ElementsAre("{}"));
  EXPECT_FALSE(framer.in_value());
}

TEST(JsonFramer, SameValuesForEveryCutOfTheStream) {
  const std::string stream = R"({"a":"x\u00e9\ud83d\ude00é😀","b":[-1.5e2,true,null,{}]} [ ] {"c":"\\\""}  )";
  JsonFramer whole;
  whole.push(stream);
  const auto expected = drain(whole);
  ASSERT_EQ(expected.size(), 3);
  for (std::size_t size = 1; size < stream.size(); ++size) {
    JsonFramer framer;
    std::vector<std::string> got;
    for (std::size_t at = 0; at < stream.size(); at += size) {
      framer.push(std::string_view(stream).substr(at, size));
      for (auto& value : drain(framer)) got.push_back(std::move(value));
    }
    EXPECT_EQ(got, expected) << "in pieces of " << size;
  }
}

TEST(JsonFramer, FindsGarbageAtItsFirstByteAndStaysBroken) {
  JsonFramer framer;
  framer.push("{\"a\":1}\nGET / HTTP/1.1\r\n");
  EXPECT_THAT(drain(framer), ElementsAre("{\"a\":1}", "error 2:1: expected a value, found 'G'"));
  framer.push("{}");
  EXPECT_THAT(drain(framer), ElementsAre("error 2:1: expected a value, found 'G'"));

  JsonFramer unclosed;
  unclosed.push("{foo");
  EXPECT_THAT(drain(unclosed), ElementsAre(HasSubstr("1:2: expected a name")));
}

TEST(JsonFramer, LimitsCountPerValue) {
  JsonFramer framer({.max_depth = 4, .max_bytes = 16, .max_values = 4});
  for (int i = 0; i < 1000; ++i) {
    framer.push("[1,2,3]   ");
    ASSERT_THAT(drain(framer), ElementsAre("[1,2,3]"));
  }
  framer.push("\"");
  for (int i = 0; i < 15; ++i) {
    framer.push("x");
    ASSERT_TRUE(drain(framer).empty());
  }
  framer.push("x");
  EXPECT_THAT(drain(framer), ElementsAre(HasSubstr("a value may have 16 bytes")));
}

}  // namespace
}  // namespace spdkio::rpc
