// Metrics over HTTP, traces and stalls of a running application.
#include <spdkio/app/app.hpp>
#include <spdkio/bdev/bdev_desc.hpp>
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/rpc/client.hpp>
#include <spdkio/runtime/block_on.hpp>
#include <spdkio/runtime/thread.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <functional>
#include <map>
#include <semaphore>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "app/app_test_support.hpp"
#include "app/observe/http_client_for_test.hpp"

namespace spdkio::app {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

class ObservabilityTest : public testing::Test {
 protected:
  AppOptions options() const {
    AppOptions options = test_options();
    options.rpc_addr = folder_.file("rpc.sock");
    options.metrics_addr = "127.0.0.1:0";
    options.json_data = malloc_config("Malloc0");
    return options;
  }
  /// `part` runs as a plain main beside the application.
  static void serve(const AppOptions& options, const std::function<void(rpc::Client&)>& part) {
    App::run_result(options, [&] {
      auto client = rpc::Client::connect(options.rpc_addr, {.wait_for_server = true});
      if (!client) throw Error(client.error());
      part(*client);
    });
  }
  static Json ok(rpc::Client& client, const std::string& method, Json params = nullptr) {
    Result<Json> answer = client.call(method, std::move(params));
    if (!answer) {
      ADD_FAILURE() << method << ": " << answer.error().what();
      return {};
    }
    return std::move(*answer);
  }
  /// Restarts the metrics on a port that is then known.
  static std::string metrics_address(rpc::Client& client) {
    ok(client, "metrics_stop");
    return ok(client, "metrics_start", {{"address", "127.0.0.1:0"}})["address"];
  }

  const TemporaryFolder folder_;
};

/// The samples of a page by name and labels; comments are checked for their form.
std::map<std::string, double> parse_metrics(const std::string& page) {
  std::map<std::string, double> samples;
  std::istringstream lines(page);
  std::string typed;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# TYPE ")) {
      typed = line.substr(7, line.find(' ', 7) - 7);
      continue;
    }
    if (line.starts_with("# HELP ")) continue;
    const std::size_t space = line.rfind(' ');
    EXPECT_NE(space, std::string::npos) << line;
    const std::string key = line.substr(0, space);
    EXPECT_THAT(key, StartsWith(typed)) << "a sample without its family";
    double value = 0;
    const std::string number = line.substr(space + 1);
    const auto end = std::from_chars(number.data(), number.data() + number.size(), value);
    EXPECT_EQ(end.ptr, number.data() + number.size()) << line;
    EXPECT_TRUE(samples.emplace(key, value).second) << "twice: " << key;
  }
  return samples;
}

Task<> write_and_read(int count) {
  auto disk = co_await BdevDesc::open("Malloc0", Access::read_write);
  auto channel = disk.io_channel();
  DmaBuf buf{4096};
  for (int i = 0; i < count; ++i) {
    co_await disk.write(channel, buf, ByteOffset{0});
    co_await disk.read(channel, buf, ByteOffset{0});
  }
  channel.close();
  co_await disk.close();
}

TEST_F(ObservabilityTest, MetricsOverHttp) {
  serve(options(), [](rpc::Client& client) {
    const std::string address = metrics_address(client);
    block_on(write_and_read(100));
    const std::string answer = ask_server(address, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    const std::string page = answer.substr(answer.find("\r\n\r\n") + 4);
    EXPECT_THAT(answer, HasSubstr("Content-Length: " + std::to_string(page.size()) + "\r\n"));

    auto samples = parse_metrics(page);
    EXPECT_EQ(samples.at(R"(spdkio_bdev_operations_total{bdev="Malloc0",operation="read"})"), 100);
    EXPECT_EQ(samples.at(R"(spdkio_bdev_operations_total{bdev="Malloc0",operation="write"})"), 100);
    EXPECT_EQ(samples.at(R"(spdkio_bdev_bytes_total{bdev="Malloc0",operation="read"})"), 409'600);
    EXPECT_EQ(samples.at(R"(spdkio_bdev_errors_total{bdev="Malloc0",operation="read"})"), 0);
    EXPECT_EQ(samples.at(R"(spdkio_bdev_size_bytes{bdev="Malloc0"})"), 8192 * 512);
    EXPECT_EQ(samples.at(R"(spdkio_bdev_in_flight{bdev="Malloc0"})"), 0);
    const double timed = samples.at(R"(spdkio_bdev_latency_seconds_count{bdev="Malloc0",operation="read"})");
    EXPECT_GT(timed, 0) << "of 200 requests some are timed";
    EXPECT_EQ(samples.at(R"(spdkio_bdev_latency_seconds_bucket{bdev="Malloc0",operation="read",le="+Inf"})"), timed);
    EXPECT_GT(samples.at(R"(spdkio_bdev_latency_seconds_sum{bdev="Malloc0",operation="read"})"), 0);
    EXPECT_EQ(std::count_if(samples.begin(), samples.end(),
                            [](const auto& s) { return s.first.starts_with("spdkio_thread_busy_seconds_total{"); }),
              1);

    const std::string again = ask_server(address, "GET /metrics HTTP/1.0\r\n\r\n");
    const auto later = parse_metrics(again.substr(again.find("\r\n\r\n") + 4));
    for (const auto& [key, value] : samples) {
      if (key.find("_total") != std::string::npos) EXPECT_GE(later.at(key), value) << key;
    }
    EXPECT_EQ(parse_metrics(ok(client, "metrics_get")["text"]).size(), samples.size());
  });
}

TEST_F(ObservabilityTest, HistogramBucketsAscend) {
  serve(options(), [](rpc::Client& client) {
    block_on(write_and_read(200));
    const auto samples = parse_metrics(ok(client, "metrics_get")["text"]);
    std::map<double, double> buckets;
    const std::string prefix = R"(spdkio_bdev_latency_seconds_bucket{bdev="Malloc0",operation="read",le=")";
    for (const auto& [key, value] : samples) {
      if (!key.starts_with(prefix) || key.find("+Inf") != std::string::npos) continue;
      double bound = 0;
      std::from_chars(key.data() + prefix.size(), key.data() + key.size(), bound);
      buckets[bound] = value;
    }
    ASSERT_GT(buckets.size(), 10u);
    double last = 0;
    for (const auto& [bound, count] : buckets) {
      EXPECT_GE(count, last) << bound;
      last = count;
    }
    EXPECT_GT(last, 0) << "requests to memory take less than ten seconds";
  });
}

TEST_F(ObservabilityTest, OtherRequestsAreRefusedAndTheServerGoesOn) {
  serve(options(), [](rpc::Client& client) {
    const std::string address = metrics_address(client);
    EXPECT_THAT(ask_server(address, "GET /elsewhere HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 404 "));
    EXPECT_THAT(ask_server(address, "POST /metrics HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 405 "));
    EXPECT_THAT(ask_server(address, "nonsense\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
    EXPECT_THAT(ask_server(address, "GET /metrics HTTP/3.0\r\n\r\n"), StartsWith("HTTP/1.1 505 "));
    EXPECT_THAT(ask_server(address, "GET /" + std::string(10'000, 'a')), StartsWith("HTTP/1.1 431 "));
    const std::string head = ask_server(address, "HEAD /metrics HTTP/1.1\r\n\r\n");
    EXPECT_THAT(head, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_TRUE(head.ends_with("\r\n\r\n"));
    EXPECT_THAT(ask_server(address, "GET /metrics HTTP/1.1\r\n\r\n"), HasSubstr("spdkio_build_info{"));
  });
}

TEST_F(ObservabilityTest, MetricsStartAndStop) {
  AppOptions with = options();
  with.metrics_addr = "";
  serve(with, [](rpc::Client& client) {
    EXPECT_FALSE(client.call("metrics_stop")) << "off by default";
    const std::string address = ok(client, "metrics_start", {{"address", "127.0.0.1:0"}})["address"];
    EXPECT_FALSE(client.call("metrics_start", {{"address", "127.0.0.1:0"}})) << "one at a time";
    EXPECT_EQ(ok(client, "metrics_stop"), true);
    EXPECT_EQ(ask_server(address, "GET /metrics HTTP/1.1\r\n\r\n"), "no connection");
    EXPECT_FALSE(client.call("metrics_start", {{"address", "0.0.0.0:0"}})) << "loopback unless asked for";
  });
}

TEST_F(ObservabilityTest, AnAddressThatIsRefusedIsAnErrorOfTheStart) {
  AppOptions with = options();
  with.metrics_addr = "0.0.0.0:0";
  EXPECT_THROW(serve(with, [](rpc::Client&) {}), Error);
}

/// Runs `task` on the application's reactor.
void on_app_thread(rpc::Client& client, const std::function<Task<>()>& task) {
  static_cast<void>(client);
  ThreadHandle thread = App::current().thread();
  auto handle = thread.spawn(task());
  handle.wait();
}

TEST_F(ObservabilityTest, TraceOfRequests) {
  serve(options(), [](rpc::Client& client) {
    const Json off = ok(client, "trace_get_tpoint_group_mask");
    EXPECT_EQ(off["tpoint_group_mask"], "0x0");
    EXPECT_EQ(off["bdev"]["enabled"], false);
    EXPECT_EQ(ok(client, "trace_enable_tpoint_group", {{"name", "bdev"}}), true);
    EXPECT_EQ(ok(client, "trace_get_tpoint_group_mask")["bdev"]["enabled"], true);
    const Json thread = ok(client, "thread_get_stats")["threads"][0];

    on_app_thread(client, [] { return write_and_read(100); });
    const Json page = ok(client, "trace_get_events", {{"thread_id", thread["id"]}, {"max_events", 4096}});
    int reads = 0;
    for (const Json& event : page["events"]) {
      EXPECT_EQ(event["group"], "bdev");
      EXPECT_EQ(event["object"], "Malloc0");
      EXPECT_GT(event["begin"], 0);
      if (event["name"] == "read") ++reads;
    }
    EXPECT_GE(reads, 68) << "all but those before the first sample";
    EXPECT_EQ(page["recorded"], page["events"].size());
    const Json rest = ok(client, "trace_get_events", {{"thread_id", thread["id"]}, {"first", 10}, {"max_events", 5}});
    EXPECT_EQ(rest["first"], 10);
    EXPECT_EQ(rest["events"].size(), 5u);
    EXPECT_EQ(rest["events"][0], page["events"][10]);

    EXPECT_EQ(ok(client, "trace_disable_tpoint_group", {{"name", "all"}}), true);
    EXPECT_EQ(ok(client, "trace_get_events", {{"thread_id", thread["id"]}})["events"].size(), 0u);
    EXPECT_FALSE(client.call("trace_enable_tpoint_group", {{"name", "nothing"}}));
    EXPECT_FALSE(client.call("trace_get_events", {{"thread_id", 1'000'000}}));
  });
}

TEST_F(ObservabilityTest, TraceOfTasksNamesThem) {
  serve(options(), [](rpc::Client& client) {
    ok(client, "trace_enable_tpoint_group", {{"name", "task"}});
    ok(client, "trace_enable_tpoint_group", {{"name", "thread"}});
    const Json thread = ok(client, "thread_get_stats")["threads"][0];
    on_app_thread(client, [] { return write_and_read(10); });
    const Json page = ok(client, "trace_get_events", {{"thread_id", thread["id"]}, {"max_events", 4096}});
    bool named = false;
    bool round = false;
    for (const Json& event : page["events"]) {
      named = named || event["name"].get<std::string>().find("write_and_read") != std::string::npos;
      round = round || event["name"] == "round";
    }
    EXPECT_TRUE(named);
    EXPECT_TRUE(round);
  });
}

Task<> hold_the_thread(std::atomic<bool>& go_on) {
  while (!go_on) std::this_thread::sleep_for(1ms);  // what a task must not do
  co_return;
}

TEST_F(ObservabilityTest, AStallIsCountedAndNamed) {
  CapturedLog log;
  serve(options(), [&](rpc::Client& client) {
    EXPECT_EQ(ok(client, "thread_get_stalls")["limit_us"], 0);
    EXPECT_FALSE(client.call("thread_set_stall_limit", {{"limit_us", 10}}));
    EXPECT_EQ(ok(client, "thread_set_stall_limit", {{"limit_us", 2000}}), true);
    std::atomic<bool> go_on = false;
    auto handle = App::current().thread().spawn(hold_the_thread(go_on));
    // The watcher says so when it has gone on for a while; only then it ends.
    while (log.text().find("and still is") == std::string::npos) std::this_thread::sleep_for(1ms);
    go_on = true;
    handle.wait();
    const Json answer = ok(client, "thread_get_stalls");
    EXPECT_EQ(answer["limit_us"], 2000);
    // On a crowded machine there may be others.
    const Json* stall = nullptr;
    for (const Json& each : answer["threads"][0]["stalls"]) {
      if (each["what"].get<std::string>().find("observability_test.cpp:") != std::string::npos) stall = &each;
    }
    ASSERT_NE(stall, nullptr) << answer.dump();
    EXPECT_GE((*stall)["count"], 1);
    EXPECT_GE((*stall)["longest_us"], 2000);
    EXPECT_THAT(log.text(), HasSubstr("thread 'app_thread' was held for "));
    const auto samples = parse_metrics(ok(client, "metrics_get")["text"]);
    double counted = 0;
    for (const auto& [key, value] : samples) {
      if (key.starts_with("spdkio_thread_stalls_total{")) counted += value;
    }
    EXPECT_GE(counted, 1);
    EXPECT_EQ(ok(client, "thread_set_stall_limit", {{"limit_us", 0}}), true);
  });
}

}  // namespace
}  // namespace spdkio::app
