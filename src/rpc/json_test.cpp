#include <spdkio/rpc/json.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace spdkio::rpc {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string error_of(std::string_view text, const JsonLimits& limits = {},
                     JsonComments comments = JsonComments::refused) {
  const auto value = parse_json(text, limits, comments);
  return value ? "accepted as " + dump_json(*value) : value.error().what();
}

TEST(Json, ReadsEveryKindOfValue) {
  const auto value = parse_json(
      R"( {"s":"aé\u00e9\ud83d\ude00\n\/","u":18446744073709551615,"i":-9223372036854775808,"d":-1.5e-3,"t":true,"f":false,)"
      "\t\r\n"
      R"("n":null,"a":[1,[],{}],"o":{"":0}} )");
  ASSERT_TRUE(value) << value.error().what();
  EXPECT_EQ(value->at("s"), "aéé😀\n/");
  EXPECT_EQ(value->at("u").get<std::uint64_t>(), UINT64_MAX);
  EXPECT_EQ(value->at("i").get<std::int64_t>(), INT64_MIN);
  EXPECT_EQ(value->at("d").get<double>(), -1.5e-3);
  EXPECT_EQ(value->at("t"), true);
  EXPECT_EQ(value->at("f"), false);
  EXPECT_TRUE(value->at("n").is_null());
  EXPECT_EQ(dump_json(value->at("a")), "[1,[],{}]");
  EXPECT_EQ(value->at("o").at(""), 0);
}

TEST(Json, KeepsTheOrderOfMembers) {
  const std::string text = R"({"z":1,"a":2,"m":{"y":3,"b":4}})";
  EXPECT_EQ(dump_json(*parse_json(text)), text);
}

TEST(Json, ReadsScalarsAtTheTopLevel) {
  EXPECT_EQ(*parse_json("-12"), -12);
  EXPECT_EQ(*parse_json(" 0.25 "), 0.25);
  EXPECT_EQ(*parse_json("\"x\""), "x");
  EXPECT_EQ(*parse_json("null"), nullptr);
}

TEST(Json, IntegersBeyond64BitsBecomeDoubles) {
  EXPECT_EQ(parse_json("18446744073709551616")->get<double>(), 18446744073709551616.0);
  EXPECT_TRUE(parse_json("-9223372036854775809")->is_number_float());
  EXPECT_TRUE(std::signbit(parse_json("-0")->get<double>()));
}

TEST(Json, NamesDuplicatesAndWhereTheyStand) {
  EXPECT_EQ(error_of(R"({"a":1,"b":2,"a":3})"), "1:14: duplicate member \"a\", already given at 1:2");
  EXPECT_EQ(error_of("{\"subsystems\":[1,{\"config\":[{\"params\":{\n\"name\":1,\n\"name\":2}}]}]}"),
            "3:1: duplicate member \"name\", already given at 2:1 (in subsystems[1].config[0].params)");
  EXPECT_EQ(error_of(R"({"odd name":{"\u0061":1,"a":2}})"),
            "1:25: duplicate member \"a\", already given at 1:14 (in [\"odd name\"])");
}

TEST(Json, LargeObjectsAreCheckedForDuplicatesQuickly) {
  std::string text = "{";
  for (int i = 0; i < 100000; ++i) text += "\"k" + std::to_string(i) + "\":0,";
  EXPECT_THAT(error_of(text + "\"k7\":1}"), HasSubstr("duplicate member \"k7\""));
  const auto value = parse_json(text + "\"last\":1}");
  ASSERT_TRUE(value);
  EXPECT_EQ(value->size(), 100001);
}

TEST(Json, SaysWhatWasExpectedAndWhere) {
  EXPECT_EQ(error_of(""), "1:1: expected a value, found the end of the text");
  EXPECT_EQ(error_of("  \n "), "2:2: expected a value, found the end of the text");
  EXPECT_EQ(error_of("{\"a\" 1}"), "1:6: expected ':' after a name, found '1'");
  EXPECT_EQ(error_of("{\"a\":1 \"b\":2}"), "1:8: expected ',' or '}' after a member, found '\"'");
  EXPECT_EQ(error_of("[1 2]"), "1:4: expected ',' or ']' after an element, found '2'");
  EXPECT_EQ(error_of("[1,]"), "1:4: expected a value, found ']'");
  EXPECT_EQ(error_of("{\"a\":1,}"), "1:8: expected a name in double quotes, found '}'");
  EXPECT_EQ(error_of("{a:1}"), "1:2: expected a name in double quotes or '}', found 'a'");
  EXPECT_EQ(error_of("[1}"), "1:3: expected ',' or ']' after an element, found '}'");
  EXPECT_EQ(error_of("{\"a\":[1,2"), "1:10: expected ',' or ']' after an element, found the end of the text (in a)");
  EXPECT_EQ(error_of("\"abc"), "1:5: expected the closing quote of a string, found the end of the text");
  EXPECT_EQ(error_of("{} x"), "1:4: expected nothing after the value, found 'x'");
  EXPECT_EQ(error_of("{}{}"), "1:3: expected nothing after the value, found '{'");
  EXPECT_EQ(error_of(std::string("\0", 1)), "1:1: expected a value, found byte 0x00");
  EXPECT_EQ(error_of("\xEF\xBB\xBF{}"), "1:1: expected a value, found byte 0xef");
}

TEST(Json, CountsColumnsInCharacters) { EXPECT_THAT(error_of("[\"é😀\" x]"), StartsWith("1:7: ")); }

TEST(Json, RefusesWhatOtherParsersLetPass) {
  EXPECT_EQ(error_of("[NaN]"), "1:2: NaN and Infinity are not JSON");
  EXPECT_EQ(error_of("[-Infinity]"), "1:2: \"-\" is not a number");
  EXPECT_EQ(error_of("[nan]"), "1:2: expected null, found \"na\"");
  EXPECT_EQ(error_of("[truE]"), "1:2: expected true, found \"truE\"");
  EXPECT_EQ(error_of("['a']"), "1:2: strings stand in double quotes");
  EXPECT_EQ(error_of("[+1]"), "1:2: expected a value or ']', found '+'");
  for (const char* number : {"01", "1.", ".5", "1e", "1e+", "--1", "1.e3", "1-2", "0x10", "-", "1.2.3"}) {
    EXPECT_THAT(error_of(std::string("[") + number + "]"), StartsWith("1:")) << number;
  }
  EXPECT_EQ(error_of("1e999"), "1:1: the number \"1e999\" is beyond what a double holds");
  EXPECT_THAT(error_of("// c\n1"), HasSubstr("expected a value, found '/'"));
}

TEST(Json, RefusesBadStrings) {
  EXPECT_THAT(error_of("\"a\nb\""), HasSubstr("control characters"));
  EXPECT_THAT(error_of(R"("\x")"), HasSubstr("no such escape"));
  EXPECT_THAT(error_of(R"("\u12g4")"), HasSubstr("four hexadecimal digits"));
  for (const char* half : {R"("\ud800")", R"("\ud800x")", R"("\ud800\n")", R"("\udc00")", R"("\ud800\ud800")"}) {
    EXPECT_THAT(error_of(half), HasSubstr("surrogate pair")) << half;
  }
  // Lone continuation, overlong, surrogate, beyond U+10FFFF, cut short.
  for (const char* bytes : {"\x80", "\xC0\xAF", "\xE0\x80\x80", "\xF0\x80\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                            "\xFF", "\xC3", "\xE2\x82"}) {
    EXPECT_THAT(error_of(std::string("\"") + bytes + "\""), HasSubstr("not UTF-8")) << bytes;
  }
}

TEST(Json, DepthIsLimitedAndUsesNoStack) {
  const JsonLimits limits{.max_depth = 3};
  EXPECT_TRUE(parse_json("[[[1]]]", limits));
  EXPECT_EQ(error_of("[[[[1]]]]", limits), "1:4: more than 3 arrays and objects inside each other (in [0][0])");
  const std::string deep(1'000'000, '[');
  EXPECT_THAT(error_of(deep), HasSubstr("more than 64 arrays"));
  EXPECT_THAT(error_of(deep, {.max_depth = 2'000'000}), HasSubstr("found the end of the text"));
}

TEST(Json, SizeIsLimited) {
  const JsonLimits limits{.max_bytes = 8};
  EXPECT_TRUE(parse_json("   \"123456\"   ", limits));
  EXPECT_THAT(error_of("\"1234567\"", limits), HasSubstr("a value may have 8 bytes, not more"));
  EXPECT_THAT(error_of("[1,2,3,4,5]", limits), HasSubstr("a value may have 8 bytes"));
  EXPECT_THAT(error_of("[0,0,0,0]", {.max_values = 4}), HasSubstr("more than 4 values"));
  EXPECT_TRUE(parse_json("[0,0,0]", {.max_values = 4}));
}

TEST(Json, CommentsAreAllowedOnRequest) {
  const auto value = parse_json("// one\n/* two **/{ /**/ \"a\" /*x*/ : 1 // three\n, \"b\"/***/:/* / */2.5/**/}//end",
                                {}, JsonComments::allowed);
  ASSERT_TRUE(value) << value.error().what();
  EXPECT_EQ(dump_json(*value), R"({"a":1,"b":2.5})");
  EXPECT_THAT(error_of("{} /* open", {}, JsonComments::allowed), HasSubstr("inside a comment"));
  EXPECT_THAT(error_of("/", {}, JsonComments::allowed), HasSubstr("inside a comment"));
  EXPECT_THAT(error_of("/x", {}, JsonComments::allowed), HasSubstr("starts no comment"));
  EXPECT_EQ(*parse_json("\"// not one\"", {}, JsonComments::allowed), "// not one");
}

TEST(Json, MessagesAreSafeToShow) {
  const std::string error = error_of("{\"\\u001b[31m\xC3\xA9\":1,\"\\u001b[31m\xC3\xA9\":1}");
  EXPECT_THAT(error, HasSubstr(R"("\u001b[31mé")"));
  const std::string name(100000, 'n');
  EXPECT_LT(error_of("{\"" + name + "\":1,\"" + name + "\":2}").size(), 300);
}

TEST(Json, DumpNeverThrowsForContent) {
  EXPECT_EQ(dump_json(Json{{"a", "\xFF"}}), "{\"a\":\"\xEF\xBF\xBD\"}");
  EXPECT_EQ(dump_json(Json{{"a", 1}}, 2), "{\n  \"a\": 1\n}");
}

TEST(Json, FilesCarryTheirNameInErrors) {
  std::string name = (std::filesystem::temp_directory_path() / "spdkio_json_XXXXXX").string();
  ASSERT_NE(mkdtemp(name.data()), nullptr);
  const std::string path = name + "/app.json";
  std::ofstream(path) << "// SPDK allows this\n{\"a\":[1,2]}\n";
  EXPECT_EQ(dump_json(*load_json_file(path)), R"({"a":[1,2]})");
  std::ofstream(path) << "{\n  \"a\": }\n";
  EXPECT_EQ(std::string(load_json_file(path).error().what()), path + ":2:8: expected a value, found '}'");
  const auto missing = load_json_file(name + "/missing.json");
  EXPECT_EQ(missing.error().to_errno(), ENOENT);
  EXPECT_THAT(missing.error().what(), HasSubstr("missing.json"));
  EXPECT_EQ(load_json_file(name).error().to_errno(), EISDIR);
  std::filesystem::remove_all(name);
}

}  // namespace
}  // namespace spdkio::rpc
