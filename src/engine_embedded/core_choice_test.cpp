#include "engine_embedded/core_choice.hpp"

#include <spdkio/base/error.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace spdkio::embedded {
namespace {

const CpuSet online{0, 1, 2, 3, 4, 5, 6, 7};
const CpuSet allowed{1, 2, 3};

std::string refusal(const EnvOptions& options) {
  try {
    choose_cores(options, online, allowed);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), make_error_code(Misuse::invalid_argument));
    return error.what();
  }
  return "accepted";
}

TEST(CoreChoice, WithoutAMaskItIsTheFirstAllowedCoreUnpinned) {
  const CoreChoice choice = choose_cores({}, online, allowed);
  EXPECT_EQ(choice.cores, CpuSet{1});
  EXPECT_EQ(choice.main_core, 1u);
  EXPECT_FALSE(choice.pinned);
}

TEST(CoreChoice, MainCoreAloneIsAMask) {
  const CoreChoice choice = choose_cores({.main_core = 2}, online, allowed);
  EXPECT_EQ(choice.cores, CpuSet{2});
  EXPECT_EQ(choice.main_core, 2u);
  EXPECT_TRUE(choice.pinned);
}

TEST(CoreChoice, EveryNotationOfTheMask) {
  for (const char* mask : {"0xc", "[2,3]", "[2-3]", "2-3"}) {
    const CoreChoice choice = choose_cores({.core_mask = mask}, online, allowed);
    EXPECT_EQ(choice.cores, (CpuSet{2, 3})) << mask;
    EXPECT_EQ(choice.main_core, 2u) << mask;
    EXPECT_TRUE(choice.pinned) << mask;
  }
}

TEST(CoreChoice, MainCoreIsOneOfTheMask) {
  EXPECT_EQ(choose_cores({.core_mask = "0xc", .main_core = 3}, online, allowed).main_core, 3u);
  EXPECT_THAT(refusal({.core_mask = "0xc", .main_core = 1}), testing::HasSubstr("the main core 1 is not in it"));
}

TEST(CoreChoice, CoresThatCantBeUsedAreNamed) {
  EXPECT_THAT(refusal({.core_mask = "[1,9-10]"}),
              testing::AllOf(testing::HasSubstr("cores [9-10] not online"), testing::HasSubstr("[0-7]")));
  EXPECT_THAT(refusal({.core_mask = "0xf"}),
              testing::AllOf(testing::HasSubstr("core [0]"), testing::HasSubstr("only on [1-3]")));
  EXPECT_THAT(refusal({.main_core = 6}), testing::HasSubstr("main core 6"));
}

TEST(CoreChoice, NonsenseIsRefusedWithTheText) {
  EXPECT_THAT(refusal({.core_mask = "all"}), testing::HasSubstr("'all'"));
  EXPECT_THAT(refusal({.core_mask = "0x0"}), testing::HasSubstr("names no core"));
  EXPECT_THAT(refusal({.core_mask = "[]"}), testing::HasSubstr("names no core"));
}

}  // namespace
}  // namespace spdkio::embedded
