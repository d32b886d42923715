#include "spdkio/top/top_sample.hpp"

#include "spdkio/cli/failure.hpp"

#include <gtest/gtest.h>

namespace spdkio::tool {
namespace {

TopLook look(std::uint64_t ticks, std::uint64_t reads, std::uint64_t busy) {
  const Json device = {{"name", "Malloc0"},          {"num_read_ops", reads},
                       {"bytes_read", reads * 4096}, {"read_latency_ticks", reads * 50},
                       {"num_write_ops", 7},         {"bytes_written", 512}};
  const Json thread = {
      {"name", "app_thread"},    {"id", 3}, {"busy", busy}, {"idle", ticks - busy}, {"active_pollers_count", 1},
      {"timed_pollers_count", 2}};
  const Json light = {{"name", "app_thread"}, {"id", 3}};
  const Json reactor = {{"lcore", 5},
                        {"busy", busy},
                        {"idle", ticks - busy},
                        {"in_interrupt", true},
                        {"lw_threads", Json::array({light})}};
  TopLook out;
  out.iostat = {{"tick_rate", 1'000'000}, {"ticks", ticks}, {"bdevs", Json::array({device})}};
  out.threads = {{"tick_rate", 1'000'000}, {"threads", Json::array({thread})}};
  out.reactors = {{"tick_rate", 1'000'000}, {"reactors", Json::array({reactor})}};
  return out;
}

TEST(TopRates, Differences) {
  const TopRates rates = top_rates(look(1'000'000, 100, 200'000), look(3'000'000, 1100, 700'000));
  EXPECT_DOUBLE_EQ(rates.seconds, 2);
  ASSERT_EQ(rates.devices.size(), 1u);
  EXPECT_DOUBLE_EQ(rates.devices[0].read_iops, 500);
  EXPECT_DOUBLE_EQ(rates.devices[0].read_bytes_s, 500 * 4096);
  EXPECT_DOUBLE_EQ(rates.devices[0].read_latency_us, 50);
  EXPECT_DOUBLE_EQ(rates.devices[0].write_iops, 0);
  EXPECT_DOUBLE_EQ(rates.devices[0].write_latency_us, 0);
  ASSERT_EQ(rates.threads.size(), 1u);
  EXPECT_DOUBLE_EQ(rates.threads[0].busy, 0.25);
  EXPECT_EQ(rates.threads[0].core, 5u);
  EXPECT_EQ(rates.threads[0].pollers, 3u);
  ASSERT_EQ(rates.reactors.size(), 1u);
  EXPECT_TRUE(rates.reactors[0].sleeping);
  EXPECT_EQ(top_to_json(rates)["devices"][0]["read_iops"], 500.0);
}

TEST(TopRates, WhatIsNewOrWasResetIsLeftOut) {
  TopLook before = look(1'000'000, 100, 0);
  EXPECT_TRUE(top_rates(before, look(2'000'000, 50, 0)).devices.empty());
  before.iostat["bdevs"] = Json::array();
  before.threads["threads"] = Json::array();
  const TopRates rates = top_rates(before, look(2'000'000, 100, 0));
  EXPECT_TRUE(rates.devices.empty());
  EXPECT_TRUE(rates.threads.empty());
}

TEST(TopRates, OtherAnswersAreRefused) {
  TopLook strange = look(2, 0, 0);
  strange.iostat = Json::array();
  EXPECT_THROW(top_rates(look(1, 0, 0), strange), Failure);
  EXPECT_THROW(top_rates(look(1, 0, 0), look(1, 0, 0)), Failure);
}

}  // namespace
}  // namespace spdkio::tool
