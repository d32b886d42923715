#include <spdkio/rpc/params.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace spdkio::rpc {
namespace params_test {

using ::testing::HasSubstr;

enum class Mode { read, write };
std::span<const EnumName<Mode>> rpc_names(Mode) {
  static constexpr std::array names{EnumName<Mode>{"read", Mode::read}, EnumName<Mode>{"write", Mode::write},
                                    EnumName<Mode>{"wr", Mode::write}};
  return names;
}

struct Range {
  std::uint64_t first = 0;
  std::uint32_t count = 1;
  void fields(Params& p) {
    p.required("first", &first, "First block");
    p.optional("count", &count, "How many");
  }
};

struct Everything {
  std::string name = "unset";
  bool flag = false;
  std::uint8_t u8 = 0;
  std::uint32_t u32 = 7;
  std::uint64_t u64 = 0;
  std::int32_t i32 = 0;
  double real = 0;
  ByteCount size{};
  Mode mode = Mode::write;
  Uuid uuid;
  std::vector<std::string> names;
  std::optional<std::uint32_t> maybe;
  Range range;
  std::vector<Range> ranges;
  Json any;
  void fields(Params& p) {
    p.required("name", &name, "The name");
    p.optional("flag", &flag);
    p.optional("u8", &u8);
    p.optional("u32", &u32, "A number");
    p.optional("u64", &u64);
    p.optional("i32", &i32);
    p.optional("real", &real);
    p.optional("size", &size);
    p.optional("mode", &mode);
    p.optional("uuid", &uuid);
    p.optional("names", &names);
    p.optional("maybe", &maybe);
    p.optional("range", &range);
    p.optional("ranges", &ranges);
    p.optional("any", &any);
  }
};

Everything read(const std::string& text) {
  const Json json = *parse_json(text);
  Everything out;
  Params params("test_method", json);
  out.fields(params);
  params.finish();
  return out;
}

std::string error_of(const std::string& text) {
  try {
    read(text);
  } catch (const RpcError& error) {
    EXPECT_EQ(error.code(), code::invalid_params);
    return error.what();
  }
  return "accepted";
}

TEST(Params, ReadsEveryType) {
  const Everything got = read(
      R"({"name":"n","flag":true,"u8":255,"u32":4294967295,"u64":18446744073709551615,"i32":-2147483648,"real":1,)"
      R"("size":"64KiB","mode":"wr","uuid":"6BA7B810-9dad-11d1-80b4-00c04fd430c8","names":["a","b"],"maybe":3,"range":{"first":5},)"
      R"("ranges":[{"first":1,"count":2},{"first":3}],"any":[1,{"x":null}]})");
  EXPECT_EQ(got.name, "n");
  EXPECT_TRUE(got.flag);
  EXPECT_EQ(got.u8, 255);
  EXPECT_EQ(got.u32, UINT32_MAX);
  EXPECT_EQ(got.u64, UINT64_MAX);
  EXPECT_EQ(got.i32, INT32_MIN);
  EXPECT_EQ(got.real, 1.0);
  EXPECT_EQ(got.size, ByteCount{65536});
  EXPECT_EQ(got.mode, Mode::write);
  EXPECT_EQ(got.uuid.to_string(), "6ba7b810-9dad-11d1-80b4-00c04fd430c8");
  EXPECT_THAT(got.names, ::testing::ElementsAre("a", "b"));
  EXPECT_EQ(got.maybe, 3U);
  EXPECT_EQ(got.range.first, 5U);
  EXPECT_EQ(got.range.count, 1U);
  ASSERT_EQ(got.ranges.size(), 2);
  EXPECT_EQ(got.ranges[0].count, 2U);
  EXPECT_EQ(dump_json(got.any), R"([1,{"x":null}])");
}

TEST(Params, OptionalOnesKeepTheirDefaults) {
  const Everything got = read(R"({"name":"n"})");
  EXPECT_EQ(got.u32, 7U);
  EXPECT_EQ(got.mode, Mode::write);
  EXPECT_FALSE(got.maybe);
}

TEST(Params, NamesEverythingThatIsWrong) {
  EXPECT_EQ(
      error_of(R"({"nmae":"x","u32":"12"})"),
      "Invalid parameters: test_method: \"name\": missing, expected string; \"u32\": expected uint32, found string "
      "\"12\"; \"nmae\": unknown parameter, did you mean \"name\"?");
}

TEST(Params, SaysExpectedAndFound) {
  EXPECT_THAT(error_of(R"({"name":null})"), HasSubstr("\"name\": expected string, found null"));
  EXPECT_THAT(error_of(R"({"name":"x","flag":1})"), HasSubstr("\"flag\": expected boolean, found number 1"));
  EXPECT_THAT(error_of(R"({"name":"x","flag":"true"})"), HasSubstr("found string \"true\""));
  EXPECT_THAT(error_of(R"({"name":"x","names":"a"})"), HasSubstr("expected array of string, found string"));
  EXPECT_THAT(error_of(R"({"name":"x","names":["a",5]})"), HasSubstr("\"names[1]\": expected string, found number 5"));
  EXPECT_THAT(error_of(R"({"name":["x"]})"), HasSubstr("found an array"));
  EXPECT_THAT(error_of(R"({"name":{"x":1}})"), HasSubstr("found an object"));
  EXPECT_THAT(error_of("{\"name\":\"a\\u0000b\"}"), HasSubstr("NUL"));
  EXPECT_THAT(error_of(R"({"name":"x","uuid":17})"), HasSubstr("\"uuid\": expected uuid, found number 17"));
  EXPECT_THAT(error_of(R"({"name":"x","uuid":"6ba7b810"})"), HasSubstr("\"uuid\": "));
  EXPECT_THAT(error_of(R"({"name":"x","mode":"raed"})"),
              HasSubstr(R"(expected one of "read", "write", "wr", found string "raed", did you mean "read"?)"));
}

TEST(Params, ChecksRanges) {
  EXPECT_THAT(error_of(R"({"name":"x","u8":256})"), HasSubstr("256 is out of range, uint8 is 0 to 255"));
  EXPECT_THAT(error_of(R"({"name":"x","u32":-1})"), HasSubstr("-1 is out of range, uint32 is 0 to 4294967295"));
  EXPECT_THAT(error_of(R"({"name":"x","u64":18446744073709551616})"), HasSubstr("out of range, uint64"));
  EXPECT_THAT(error_of(R"({"name":"x","u64":1e300})"), HasSubstr("out of range, uint64"));
  EXPECT_THAT(error_of(R"({"name":"x","u64":-0.5})"), HasSubstr("-0.5 is not a whole number"));
  EXPECT_THAT(error_of(R"({"name":"x","i32":2147483648})"), HasSubstr("int32 is -2147483648 to 2147483647"));
  EXPECT_THAT(error_of(R"({"name":"x","i32":18446744073709551615})"), HasSubstr("out of range, int32"));
  EXPECT_THAT(error_of(R"({"name":"x","i32":-1e300})"), HasSubstr("out of range, int32"));
  EXPECT_EQ(read(R"({"name":"x","u32":5.0,"u64":1e3,"i32":-2e1})").u64, 1000U);
}

TEST(Params, SizesTakeUnits) {
  const auto size = [](const std::string& json) { return read("{\"name\":\"x\",\"size\":" + json + "}").size.value; };
  EXPECT_EQ(size("4096"), 4096U);
  EXPECT_EQ(size("\"4096\""), 4096U);
  EXPECT_EQ(size("\"4096B\""), 4096U);
  EXPECT_EQ(size("\"1k\""), 1024U);
  EXPECT_EQ(size("\"2TiB\""), 1ULL << 41);
  for (const char* bad :
       {"\"\"", "\"x\"", "\"-1\"", "\"1Q\"", "\"1.5k\"", "\"1MB\"", "\"16777216T\"", "-5", "1.5", "true"}) {
    EXPECT_THAT(error_of(std::string("{\"name\":\"x\",\"size\":") + bad + "}"), HasSubstr("\"size\": ")) << bad;
  }
}

TEST(Params, ObjectsInsideAreCheckedToo) {
  EXPECT_THAT(error_of(R"({"name":"x","range":{"frist":1}})"),
              HasSubstr("\"range.first\": missing, expected uint64; \"frist\": unknown parameter in \"range\", did you "
                        "mean \"first\"?"));
  EXPECT_THAT(error_of(R"({"name":"x","ranges":[{"first":1},{"first":"y"}]})"), HasSubstr("\"ranges[1].first\""));
  EXPECT_THAT(error_of(R"({"name":"x","range":[]})"), HasSubstr("expected object, found an array"));
}

TEST(Params, PositionalParametersAreRefused) {
  EXPECT_EQ(error_of("[1]"),
            "Invalid parameters: test_method: expected parameters by name, in an object, found an array");
}

TEST(Params, NullMeansNoneGiven) {
  const Json none;
  Params params("m", none);
  EXPECT_NO_THROW(params.finish());
  EXPECT_THAT(error_of("null"), HasSubstr("\"name\": missing"));
}

TEST(Params, MessagesStayShort) {
  std::string text = R"({"name":"x","names":[)";
  for (int i = 0; i < 20000; ++i) text += "1,";
  const std::string error = error_of(text + "1]}");
  EXPECT_LT(error.size(), 1000);
  EXPECT_THAT(error, HasSubstr("; and 19993 more"));
}

TEST(Params, ChecksSayTheRule) {
  const auto run = [](const char* text) -> std::string {
    const Json json = *parse_json(text);
    std::uint32_t block_size = 512;
    Params params("m", json);
    params.optional("block_size", &block_size).check(block_size % 512 == 0, "block_size", "must be a multiple of 512");
    try {
      params.finish();
    } catch (const RpcError& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_EQ(run(R"({"block_size":1000})"), "Invalid parameters: m: \"block_size\": must be a multiple of 512");
  EXPECT_EQ(run(R"({"block_size":1024})"), "accepted");
  EXPECT_EQ(run("{}"), "accepted");
}

TEST(Params, AFailedCheckIsNotReportedForAValueThatCouldNotBeRead) {
  const Json json = *parse_json(R"({"n":"x"})");
  std::uint32_t n = 1;
  Params params("m", json);
  params.optional("n", &n).check(n % 2 == 0, "n", "must be even");
  try {
    params.finish();
    FAIL();
  } catch (const RpcError& error) {
    EXPECT_THAT(error.what(), ::testing::Not(HasSubstr("even")));
  }
}

TEST(Params, DescribesWhatItReads) {
  const auto specs = describe_params<Everything>();
  ASSERT_EQ(specs.size(), 15);
  EXPECT_EQ(specs[0].name, "name");
  EXPECT_EQ(specs[0].type, "string");
  EXPECT_TRUE(specs[0].required);
  EXPECT_TRUE(specs[0].default_value.is_null());
  EXPECT_EQ(specs[0].help, "The name");
  EXPECT_EQ(specs[3].type, "uint32");
  EXPECT_EQ(specs[3].default_value, 7);
  EXPECT_FALSE(specs[3].required);
  EXPECT_EQ(specs[8].type, "read|write|wr");
  EXPECT_EQ(specs[8].default_value, "write");
  EXPECT_EQ(specs[10].type, "array of string");
  EXPECT_TRUE(specs[11].default_value.is_null());
  EXPECT_EQ(specs[13].type, "array of object");
  ASSERT_EQ(specs[13].members.size(), 2);
  EXPECT_EQ(specs[13].members[0].name, "first");
}

}  // namespace params_test
}  // namespace spdkio::rpc
