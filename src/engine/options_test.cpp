#include <spdkio/engine/options.hpp>

#include <gtest/gtest.h>

namespace spdkio {
namespace {

TEST(PollMode, NamesAreReadBack) {
  for (const PollMode mode : {PollMode::busy, PollMode::adaptive, PollMode::interrupt}) {
    EXPECT_EQ(poll_mode_from(to_string(mode)), mode);
  }
  EXPECT_EQ(to_string(PollMode::adaptive), "adaptive");
}

TEST(PollMode, AnythingElseIsNothing) {
  for (const char* text : {"", "Busy", "busy ", "poll", "adaptiv", "0"}) EXPECT_EQ(poll_mode_from(text), std::nullopt);
  EXPECT_EQ(to_string(static_cast<PollMode>(17)), "unknown");
}

}  // namespace
}  // namespace spdkio
