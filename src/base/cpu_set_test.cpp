#include <spdkio/base/cpu_set.hpp>
#include <spdkio/base/error.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iterator>
#include <string>
#include <vector>

namespace spdkio {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

static_assert(std::forward_iterator<CpuSet::Iterator>);

std::vector<unsigned> elements(const CpuSet& set) { return {set.begin(), set.end()}; }

TEST(CpuSet, ParsesMasks) {
  EXPECT_EQ(CpuSet::parse("0x3"), (CpuSet{0, 1}));
  EXPECT_EQ(CpuSet::parse("0XfF"), CpuSet::parse("0-7"));
  EXPECT_EQ(CpuSet::parse("0x0"), CpuSet{});
  EXPECT_EQ(CpuSet::parse("0x8000000000000001"), (CpuSet{0, 63}));
  EXPECT_EQ(CpuSet::parse("0x10000000000000000"), CpuSet{64});
  EXPECT_EQ(CpuSet::parse("0x1" + std::string(255, '0')), CpuSet{1020});
  EXPECT_EQ(CpuSet::parse("0x" + std::string(256, 'f')).count(), 1024u);
  EXPECT_EQ(CpuSet::parse("0x" + std::string(300, '0') + "1"), CpuSet{0});
}

TEST(CpuSet, ParsesLists) {
  EXPECT_EQ(CpuSet::parse("[0,1,4-7]"), (CpuSet{0, 1, 4, 5, 6, 7}));
  EXPECT_EQ(CpuSet::parse("[3]"), CpuSet{3});
  EXPECT_EQ(CpuSet::parse("[ 0 , 2 - 3 ]"), (CpuSet{0, 2, 3}));
  EXPECT_EQ(CpuSet::parse("[]"), CpuSet{});
  EXPECT_EQ(CpuSet::parse("0-3,8"), (CpuSet{0, 1, 2, 3, 8}));
  EXPECT_EQ(CpuSet::parse("5-5"), CpuSet{5});
  EXPECT_EQ(CpuSet::parse("1,1,0-1"), (CpuSet{0, 1}));
  EXPECT_EQ(CpuSet::parse("0-1023").count(), 1024u);
  EXPECT_EQ(CpuSet::parse_list("7"), CpuSet{7});
}

TEST(CpuSet, ParsesSpdkMasksWithoutPrefix) {
  EXPECT_EQ(CpuSet::parse_mask("10"), CpuSet{4});
  EXPECT_EQ(CpuSet::parse_mask("0x10"), CpuSet{4});
  EXPECT_EQ(CpuSet::parse_mask("[10]"), CpuSet{10});
  EXPECT_THROW(CpuSet::parse_mask("0-3"), Error);
  EXPECT_THROW(CpuSet::parse_mask(""), Error);
}

struct BadText {
  const char* text;
  unsigned position;
  const char* why;
};

class CpuSetBadText : public testing::TestWithParam<BadText> {};

TEST_P(CpuSetBadText, NamesTextPositionAndReason) {
  try {
    CpuSet::parse(GetParam().text);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Misuse::invalid_argument);
    EXPECT_THAT(error.what(), HasSubstr("\"" + std::string(GetParam().text) + "\""));
    EXPECT_THAT(error.what(), HasSubstr("position " + std::to_string(GetParam().position) + ":"));
    EXPECT_THAT(error.what(), HasSubstr(GetParam().why));
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, CpuSetBadText,
    testing::Values(BadText{"", 1, "empty"}, BadText{"0x", 3, "digits"}, BadText{"0x3g", 4, "not a hexadecimal digit"},
                    BadText{"10", 1, "may be a mask or a CPU number"},
                    BadText{" 3", 1, "may be a mask or a CPU number"}, BadText{"[0,1", 5, "']' is missing"},
                    BadText{"[0 1]", 4, "',' or ']' is expected"}, BadText{"[0]x", 4, "nothing may follow"},
                    BadText{"[0,]", 4, "a CPU number is expected"}, BadText{"[,0]", 2, "a CPU number is expected"},
                    BadText{"0-", 3, "a CPU number is expected"}, BadText{"-3", 1, "a CPU number is expected"},
                    BadText{"0,-3", 3, "a CPU number is expected"}, BadText{"0--3", 3, "a CPU number is expected"},
                    BadText{"0-3-5", 4, "',' or the end is expected"}, BadText{"1,7-4", 3, "7-4 runs backwards"},
                    BadText{"[1024]", 2, "CPU 1024 is above"}, BadText{"0,1-1024", 5, "CPU 1024 is above"},
                    BadText{"abc,1", 1, "a CPU number is expected"},
                    BadText{"[99999999999999999999999]", 2, "99999999999999999999999 is above"},
                    BadText{"0-3 8", 5, "',' or the end"}, BadText{"1;2", 2, "',' or the end"}));

TEST(CpuSet, MasksBeyondTheHighestCpuAreRefused) {
  EXPECT_THROW(CpuSet::parse("0x1" + std::string(256, '0')), Error);
  EXPECT_THROW(CpuSet::parse("0x" + std::string(257, 'f')), Error);
}

TEST(CpuSet, Prints) {
  EXPECT_EQ(CpuSet{}.to_mask_string(), "0");
  EXPECT_EQ(CpuSet{}.to_list_string(), "[]");
  EXPECT_EQ((CpuSet{0, 1, 3}.to_mask_string()), "b");
  EXPECT_EQ((CpuSet{0, 1, 3}.to_list_string()), "[0-1,3]");
  EXPECT_EQ((CpuSet{64, 0}.to_mask_string()), "10000000000000001");
  EXPECT_EQ(CpuSet{1023}.to_mask_string(), "8" + std::string(255, '0'));
  EXPECT_EQ(CpuSet::parse("60-70,1023").to_list_string(), "[60-70,1023]");
  EXPECT_EQ(CpuSet::parse("0xABCDEF").to_mask_string(), "abcdef");
}

TEST(CpuSet, WhatIsPrintedIsReadBack) {
  for (const char* text : {"[]", "0x1", "0-3,8", "[63,64,127-128]", "0-1023", "0xdeadbeef00000000cafe"}) {
    const CpuSet set = CpuSet::parse(text);
    EXPECT_EQ(CpuSet::parse(set.to_list_string()), set) << text;
    EXPECT_EQ(CpuSet::parse_mask(set.to_mask_string()), set) << text;
  }
}

TEST(CpuSet, Iterates) {
  EXPECT_THAT(elements(CpuSet{}), ElementsAre());
  EXPECT_THAT(elements({1023, 63, 64, 0}), ElementsAre(0, 63, 64, 1023));
  EXPECT_EQ((CpuSet{200, 7}.first()), 7u);
  EXPECT_EQ(CpuSet{}.first(), std::nullopt);
}

TEST(CpuSet, AddRemoveContains) {
  CpuSet set;
  set.add(5);
  set.add_range(62, 66);
  EXPECT_EQ(set.count(), 6u);
  EXPECT_TRUE(set.contains(64));
  set.remove(64);
  set.remove(64);
  set.remove(5000);
  EXPECT_FALSE(set.contains(64));
  EXPECT_FALSE(set.contains(4));
  EXPECT_FALSE(set.contains(1024));
  EXPECT_EQ(set.count(), 5u);
  EXPECT_THROW(set.add(1024), Error);
  EXPECT_THROW(set.add_range(5, 1024), Error);
  EXPECT_THROW(set.add_range(5, 4), Error);
  EXPECT_THROW((CpuSet{1, 4096}), Error);
  EXPECT_EQ(set.count(), 5u);
}

TEST(CpuSet, SetOperations) {
  const CpuSet a{0, 1, 100};
  const CpuSet b{1, 100, 700};
  EXPECT_EQ(a | b, (CpuSet{0, 1, 100, 700}));
  EXPECT_EQ(a & b, (CpuSet{1, 100}));
  EXPECT_EQ(a - b, CpuSet{0});
  EXPECT_TRUE(CpuSet{1}.is_subset_of(a));
  EXPECT_TRUE(CpuSet{}.is_subset_of(a));
  EXPECT_FALSE(a.is_subset_of(b));
  EXPECT_TRUE((a - a).empty());
}

TEST(CpuSet, AllowedIsPartOfOnline) {
  const CpuSet online = CpuSet::online();
  const CpuSet allowed = CpuSet::allowed();
  EXPECT_FALSE(allowed.empty());
  EXPECT_TRUE(allowed.is_subset_of(online)) << allowed.to_list_string() << ' ' << online.to_list_string();
}

}  // namespace
}  // namespace spdkio
