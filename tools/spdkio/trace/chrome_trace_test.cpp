#include "spdkio/trace/chrome_trace.hpp"

#include <gtest/gtest.h>

namespace spdkio::tool {
namespace {

TEST(ChromeTrace, NestedAndOverlappingEvents) {
  ChromeTrace trace(7, "app", 1e9);
  trace.add_thread(3, "worker \"a\"");
  EXPECT_TRUE(trace.add_event(3, {{"begin", 1'000'000u},
                                  {"duration", 2'500u},
                                  {"name", "round"},
                                  {"group", "thread"},
                                  {"first", 4u},
                                  {"second", 0u}}));
  EXPECT_TRUE(trace.add_event(3, {{"begin", 999'000u},
                                  {"duration", 3'000u},
                                  {"name", "read"},
                                  {"group", "bdev"},
                                  {"object", "Malloc0"},
                                  {"first", 8u},
                                  {"second", 2u},
                                  {"overlaps", true}}));
  EXPECT_EQ(trace.events(), 2u);

  const Json file = Json::parse(trace.finish());
  const Json& events = file["traceEvents"];
  ASSERT_EQ(events.size(), 5u);
  EXPECT_EQ(events[0]["args"]["name"], "app");
  EXPECT_EQ(events[1]["args"]["name"], "worker \"a\"");
  EXPECT_EQ(events[2]["ph"], "X");
  EXPECT_EQ(events[2]["ts"], 0.0);
  EXPECT_EQ(events[2]["dur"], 2.5);
  EXPECT_EQ(events[2]["args"]["work"], 4);
  EXPECT_EQ(events[3]["ph"], "b");
  EXPECT_EQ(events[3]["name"], "read Malloc0");
  EXPECT_EQ(events[3]["ts"], -1.0);
  EXPECT_EQ(events[3]["args"]["lba"], 8);
  EXPECT_EQ(events[4]["ph"], "e");
  EXPECT_EQ(events[4]["ts"], 2.0);
  EXPECT_EQ(events[4]["id"], events[3]["id"]);
}

TEST(ChromeTrace, WhatIsNoEventIsRefused) {
  ChromeTrace trace(1, "app", 1e9);
  EXPECT_FALSE(trace.add_event(1, Json::array()));
  EXPECT_FALSE(trace.add_event(1, {{"name", "read"}}));
  EXPECT_FALSE(trace.add_event(1, {{"begin", 5u}}));
  EXPECT_EQ(Json::parse(trace.finish())["traceEvents"].size(), 1u);
}

}  // namespace
}  // namespace spdkio::tool
