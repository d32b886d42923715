// The Grafana dashboard asks for metrics and labels that a running application has.
#include <spdkio/app/app.hpp>
#include <spdkio/bdev/bdev_desc.hpp>
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/rpc/json.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>

#include "app/observe/collect_metrics.hpp"

namespace spdkio::app {
namespace {

using Words = std::set<std::string>;

Words matches(const std::string& text, const std::string& pattern) {
  const std::regex regex(pattern);
  Words found;
  for (auto at = std::sregex_iterator(text.begin(), text.end(), regex); at != std::sregex_iterator(); ++at) {
    found.insert((*at)[(*at).size() - 1].str());
  }
  return found;
}

void add_queries(const Json& json, Words& queries) {
  for (const auto& [key, value] : json.items()) {
    if (value.is_structured()) add_queries(value, queries);
    const bool query = key == "expr" || key == "query" || key == "definition";
    if (query && value.is_string()) queries.insert(value.get<std::string>());
  }
}

/// The labels of each metric of a page, by the name that is asked for.
std::map<std::string, Words> exposed(const std::string& page) {
  std::map<std::string, Words> metrics;
  const std::regex sample(R"(^([a-z_]+)(?:\{(.*)\})? )", std::regex::multiline);
  for (auto at = std::sregex_iterator(page.begin(), page.end(), sample); at != std::sregex_iterator(); ++at) {
    metrics[(*at)[1].str()].merge(matches((*at)[2].str(), R"re((\w+)=")re"));
  }
  return metrics;
}

/// Of an application that has done something.
Task<std::string> metrics_page() {
  BdevDesc disk = co_await BdevDesc::open("M", Access::read_write);
  IoChannel channel = disk.io_channel();
  const DmaBuf buffer{512};
  for (int i = 0; i < 200; ++i) {  // some of them are timed
    co_await disk.write(channel, buffer, ByteOffset{0});
    co_await disk.read(channel, buffer, ByteOffset{0});
  }
  channel.close();
  co_await disk.close();
  co_return co_await collect_metrics("embedded");
}

TEST(Dashboard, AsksForWhatThereIs) {
  std::ifstream file(SPDKIO_DASHBOARD);
  Words queries;
  add_queries(Json::parse(file), queries);
  ASSERT_GT(queries.size(), 5U);

  AppOptions options;
  options.name = "dashboard";
  options.rpc_addr.clear();
  options.json_data = R"({"subsystems": [{"subsystem": "bdev", "config": [
    {"method": "bdev_malloc_create", "params": {"name": "M", "num_blocks": 64, "block_size": 512}}]}]})";
  const auto metrics = exposed(App::run_result(options, metrics_page));
  for (const std::string& query : queries) {
    if (query == "prometheus") continue;  // the kind of the data source
    const Words names = matches(query, R"(\b(spdkio_[a-z_]+))");
    EXPECT_FALSE(names.empty()) << query;
    Words labels = matches(query, R"re((\w+)=~")re");
    for (const std::string& list : matches(query, R"(by \(([^)]*)\))")) labels.merge(matches(list, R"((\w+))"));
    labels.erase("instance");  // Prometheus adds it
    for (const std::string& name : names) {
      ASSERT_TRUE(metrics.contains(name)) << name << " in " << query;
      for (const std::string& label : labels) {
        EXPECT_TRUE(metrics.at(name).contains(label)) << name << " has no label " << label << ": " << query;
      }
    }
  }
}

}  // namespace
}  // namespace spdkio::app
