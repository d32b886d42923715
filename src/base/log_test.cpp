#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace spdkio::log {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

struct Unformattable {};

}  // namespace
}  // namespace spdkio::log

template <>
struct fmt::formatter<spdkio::log::Unformattable> {
  constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
  auto format(const spdkio::log::Unformattable&, fmt::format_context&) const -> fmt::format_context::iterator {
    throw std::runtime_error("no text");
  }
};

namespace spdkio::log {
namespace {

class Log : public testing::Test {
 protected:
  void SetUp() override {
    set_level(Level::info);
    set_sink([this](Level level, std::string_view text) { lines.emplace_back(level, text); });
  }
  void TearDown() override {
    set_sink({});
    set_level(Level::info);
  }
  std::vector<std::pair<Level, std::string>> lines;
};

TEST_F(Log, FormatsAndNamesTheLevel) {
  info("{} of {}", 1, "two");
  warn("w");
  error("{:#x}", 255);
  critical("c");
  EXPECT_THAT(lines, ElementsAre(Pair(Level::info, "1 of two"), Pair(Level::warn, "w"), Pair(Level::error, "0xff"),
                                 Pair(Level::critical, "c")));
}

TEST_F(Log, DropsWhatIsBelowTheLevel) {
  debug("d");
  trace("t");
  EXPECT_THAT(lines, IsEmpty());
  set_level(Level::trace);
  debug("d");
  trace("t");
  write(Level::debug, "{}", 3);
  EXPECT_THAT(lines, ElementsAre(Pair(Level::debug, "d"), Pair(Level::trace, "t"), Pair(Level::debug, "3")));
  EXPECT_TRUE(enabled(Level::trace));
}

TEST_F(Log, OffDropsAll) {
  set_level(Level::off);
  critical("c");
  write(Level::off, "never");
  EXPECT_THAT(lines, IsEmpty());
  EXPECT_FALSE(enabled(Level::critical));
}

TEST_F(Log, ArgumentsOfDroppedMessagesAreNotFormatted) {
  bool called = false;
  set_sink([&](Level, std::string_view) { called = true; });
  debug("{}", Unformattable{});
  EXPECT_FALSE(called);
}

TEST_F(Log, AMessageThatCannotBeFormattedIsLostAndNoMore) {
  error("{}", Unformattable{});
  error("after");
  EXPECT_THAT(lines, ElementsAre(Pair(Level::error, "after")));
}

TEST_F(Log, ASinkMayThrow) {
  int calls = 0;
  set_sink([&](Level, std::string_view) {
    ++calls;
    throw std::runtime_error("disk full");
  });
  error("a");
  error("b");
  EXPECT_EQ(calls, 2);
}

TEST_F(Log, WhatASinkLogsIsDropped) {
  int calls = 0;
  set_sink([&](Level, std::string_view) {
    ++calls;
    error("about the sink");
  });
  error("a");
  error("b");
  EXPECT_EQ(calls, 2);
}

TEST_F(Log, ASinkMayNotReplaceTheSink) {
  std::string refusal;
  set_sink([&](Level, std::string_view) {
    try {
      set_sink({});
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Misuse::would_block);
      refusal = e.what();
    }
  });
  error("a");
  EXPECT_THAT(refusal, HasSubstr("sink"));
}

TEST_F(Log, CallsOfTheSinkDoNotOverlap) {
  int inside = 0;
  int most = 0;
  int calls = 0;
  set_sink([&](Level, std::string_view) {
    most = std::max(most, ++inside);
    ++calls;
    --inside;
  });
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([] {
        for (int j = 0; j < 500; ++j) info("{}", j);
      });
    }
  }
  EXPECT_EQ(calls, 2000);
  EXPECT_EQ(most, 1);
}

TEST_F(Log, NoCallOfTheFormerSinkRunsAfterItsReplacement) {
  for (int round = 0; round < 100; ++round) {
    auto alive = std::make_unique<int>(0);
    set_sink([p = alive.get()](Level, std::string_view) { ++*p; });
    std::jthread writer([] {
      for (int j = 0; j < 20; ++j) info("{}", j);
    });
    set_sink([](Level, std::string_view) {});
    alive.reset();
  }
}

TEST(LogDefaultSink, WritesToStandardErrorWithoutFileNames) {
  set_sink({});
  testing::internal::CaptureStderr();
  warn("disk {} is slow", 3);
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_THAT(text, HasSubstr("[spdkio] [warning] disk 3 is slow\n"));
  EXPECT_THAT(text, testing::Not(HasSubstr(".cpp")));
}

TEST(LogLevel, NamesRoundTrip) {
  for (int i = 0; i <= static_cast<int>(Level::off); ++i) {
    const auto level = static_cast<Level>(i);
    EXPECT_EQ(level_from_string(to_string(level)), level);
  }
  EXPECT_EQ(to_string(static_cast<Level>(42)), "unknown");
}

TEST(LogLevel, KnowsTheNamesOfSpdk) {
  EXPECT_EQ(level_from_string("ERROR"), Level::error);
  EXPECT_EQ(level_from_string("WARNING"), Level::warn);
  EXPECT_EQ(level_from_string("NOTICE"), Level::info);
  EXPECT_EQ(level_from_string("DISABLED"), Level::off);
}

TEST(LogLevel, RefusesOtherNames) {
  for (const char* name : {"", "verbose", "inf", "info "}) {
    try {
      level_from_string(name);
      ADD_FAILURE() << name;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Misuse::invalid_argument);
      EXPECT_THAT(e.what(), HasSubstr(fmt::format("\"{}\"", name)));
      EXPECT_THAT(e.what(), HasSubstr("trace, debug, info, warn, error, critical, off"));
    }
  }
}

}  // namespace
}  // namespace spdkio::log
