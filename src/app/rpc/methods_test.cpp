// The RPC methods of an application, called over its socket.
#include "app/rpc/methods.hpp"

#include <spdkio/app/app.hpp>
#include <spdkio/base/base64.hpp>
#include <spdkio/base/latency_histogram.hpp>
#include <spdkio/bdev/bdev_desc.hpp>
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/rpc/client.hpp>
#include <spdkio/runtime/block_on.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/runtime/thread.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <optional>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include "app/app_test_support.hpp"

namespace spdkio::app {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

/// An application that serves `config` until the client's part, on an OS thread of its own, is done.
class MethodsTest : public testing::Test {
 protected:
  AppOptions options() const {
    AppOptions options = test_options();
    options.rpc_addr = folder_.file("rpc.sock");
    return options;
  }
  static rpc::Client connect(const AppOptions& options) {
    auto client = rpc::Client::connect(options.rpc_addr, {.wait_for_server = true});
    if (!client) throw Error(client.error());
    return std::move(*client);
  }
  static void serve(const AppOptions& options, const std::function<void(rpc::Client&)>& part) {
    App::run_result(options, [&] {
      rpc::Client client = connect(options);
      part(client);
    });
  }
  void with_disk(const std::function<void(rpc::Client&)>& part) const {
    AppOptions with = options();
    with.json_data = malloc_config("Malloc0");
    serve(with, part);
  }

  static Json ok(rpc::Client& client, const std::string& method, Json params = nullptr) {
    Result<Json> answer = client.call(method, std::move(params));
    if (!answer) {
      ADD_FAILURE() << method << ": " << answer.error().what();
      return {};
    }
    return std::move(*answer);
  }
  static Json refused(rpc::Client& client, const std::string& method, Json params = nullptr) {
    const Result<Json> answer = client.request(method, std::move(params));
    if (!answer || !answer->contains("error")) {
      ADD_FAILURE() << method << " was not refused";
      return {{"code", 0}, {"message", ""}};
    }
    return answer->at("error");
  }

  const TemporaryFolder folder_;
};

std::vector<std::string> keys(const Json& object) {
  std::vector<std::string> names;
  for (const auto& item : object.items()) names.push_back(item.key());
  return names;
}

TEST_F(MethodsTest, ListTheMethods) {
  serve(options(), [](rpc::Client& client) {
    const auto names = ok(client, "rpc_get_methods").get<std::vector<std::string>>();
    for (const char* name : {"rpc_get_methods",          "spdk_get_version",        "spdk_kill_instance",
                             "framework_get_reactors",   "framework_wait_init",     "framework_start_init",
                             "framework_get_subsystems", "framework_get_config",    "save_config",
                             "thread_get_stats",         "log_set_level",           "log_get_level",
                             "bdev_get_bdevs",           "bdev_get_iostat",         "bdev_reset_iostat",
                             "bdev_enable_histogram",    "bdev_get_histogram",      "bdev_wait_for_examine",
                             "bdev_set_options",         "bdev_malloc_create",      "bdev_malloc_delete",
                             "bdev_null_create",         "bdev_error_create",       "bdev_error_inject_error",
                             "bdev_delay_create",        "bdev_passthru_create",    "bdev_split_create",
                             "bdev_zone_block_create",   "bdev_zone_block_delete",  "bdev_aio_create",
                             "bdev_uring_create",        "bdev_lvol_create_lvstore"}) {
      EXPECT_THAT(names, Contains(name));
    }
    const auto now = ok(client, "rpc_get_methods", {{"current", true}}).get<std::vector<std::string>>();
    EXPECT_THAT(now, testing::Not(Contains("framework_start_init")));
  });
}

TEST_F(MethodsTest, TellTheVersion) {
  serve(options(), [](rpc::Client& client) {
    const Json version = ok(client, "spdk_get_version");
    EXPECT_THAT(version["version"].get<std::string>(), HasSubstr("spdk-io v"));
    EXPECT_THAT(keys(version["fields"]), ElementsAre("major", "minor", "patch", "suffix"));
    EXPECT_TRUE(version["fields"]["minor"].is_number_unsigned());
  });
}

TEST_F(MethodsTest, ShowReactorsAndThreads) {
  serve(options(), [](rpc::Client& client) {
    const Json answer = ok(client, "framework_get_reactors");
    EXPECT_EQ(answer["pid"], ::getpid());
    EXPECT_GT(answer["tick_rate"], 0);
    ASSERT_EQ(answer["reactors"].size(), 1u);
    const Json& reactor = answer["reactors"][0];
    EXPECT_THAT(keys(reactor), ElementsAre("lcore", "numa_id", "tid", "busy", "idle", "in_interrupt", "irq", "sys",
                                           "usr", "lw_threads"));
    EXPECT_NE(reactor["tid"], ::getpid());
    EXPECT_EQ(reactor["lw_threads"][0]["name"], "app_thread");

    const Json threads = ok(client, "thread_get_stats");
    ASSERT_EQ(threads["threads"].size(), 1u);
    const Json& thread = threads["threads"][0];
    EXPECT_THAT(keys(thread), ElementsAre("name", "id", "cpumask", "busy", "idle", "active_pollers_count",
                                          "timed_pollers_count", "paused_pollers_count"));
    EXPECT_EQ(thread["name"], "app_thread");
    EXPECT_GT(thread["busy"], 0);
  });
}

TEST_F(MethodsTest, ChangeTheLogLevel) {
  const log::Level before = log::level();
  serve(options(), [](rpc::Client& client) {
    for (const char* level : {"DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "DISABLED"}) {
      EXPECT_EQ(ok(client, "log_set_level", {{"level", level}}), true);
      EXPECT_EQ(ok(client, "log_get_level"), level);
      EXPECT_EQ(ok(client, "log_get_print_level"), level);
    }
    EXPECT_EQ(refused(client, "log_set_level", {{"level", "LOUD"}})["code"], -32602);
    ok(client, "log_set_level", {{"level", "NOTICE"}});
  });
  log::set_level(before);
}

TEST_F(MethodsTest, ShowBlockDevices) {
  with_disk([](rpc::Client& client) {
    const Json all = ok(client, "bdev_get_bdevs");
    ASSERT_EQ(all.size(), 1u);
    const Json& disk = all[0];
    EXPECT_EQ(disk["name"], "Malloc0");
    EXPECT_EQ(disk["product_name"], "Malloc disk");
    EXPECT_EQ(disk["block_size"], 512);
    EXPECT_EQ(disk["num_blocks"], 8192);
    EXPECT_EQ(disk["uuid"].get<std::string>().size(), 36u);
    EXPECT_EQ(disk["claimed"], false);
    EXPECT_EQ(disk["zoned"], false);
    EXPECT_EQ(disk["supported_io_types"].size(), 22u);
    EXPECT_EQ(disk["supported_io_types"]["read"], true);
    EXPECT_EQ(disk["supported_io_types"]["nvme_admin"], false);
    EXPECT_TRUE(disk["driver_specific"].is_object());

    EXPECT_EQ(ok(client, "bdev_get_bdevs", {{"name", "Malloc0"}}), all);
    EXPECT_EQ(refused(client, "bdev_get_bdevs", {{"name", "nothing"}})["code"], -19);
    EXPECT_EQ(refused(client, "bdev_get_bdevs", {{"name", "nothing"}, {"timeout", 10}})["code"], -19);
    EXPECT_THAT(refused(client, "bdev_get_bdevs", {{"nam", "Malloc0"}})["message"].get<std::string>(),
                HasSubstr("nam"));
  });
}

TEST_F(MethodsTest, WaitForABlockDeviceToAppear) {
  AppOptions with = options();
  serve(with, [&](rpc::Client& client) {
    std::jthread later([&] {
      rpc::Client other = connect(with);
      std::this_thread::sleep_for(20ms);
      ok(other, "bdev_malloc_create", {{"name", "Late"}, {"num_blocks", 64}, {"block_size", 512}});
    });
    EXPECT_EQ(ok(client, "bdev_get_bdevs", {{"name", "Late"}, {"timeout", 60'000}})[0]["name"], "Late");
  });
}

Task<> write_blocks(int count) {
  auto disk = co_await BdevDesc::open("Malloc0", Access::read_write);
  auto channel = disk.io_channel();
  DmaBuf buf{4096};
  for (int i = 0; i < count; ++i) co_await disk.write(channel, buf, ByteOffset{0});
  channel.close();
  co_await disk.close();
}

TEST_F(MethodsTest, CountOperations) {
  with_disk([](rpc::Client& client) {
    block_on(write_blocks(10));
    const Json answer = ok(client, "bdev_get_iostat");
    EXPECT_GT(answer["tick_rate"], 0);
    EXPECT_GT(answer["ticks"], 0);
    ASSERT_EQ(answer["bdevs"].size(), 1u);
    const Json& disk = answer["bdevs"][0];
    EXPECT_EQ(disk["name"], "Malloc0");
    EXPECT_EQ(disk["num_write_ops"], 10);
    EXPECT_EQ(disk["bytes_written"], 40960);
    EXPECT_EQ(disk["num_read_ops"], 0);
    for (const char* kind : {"read", "write", "unmap", "copy"}) {
      for (const char* name : {"{}_latency_ticks", "max_{}_latency_ticks", "min_{}_latency_ticks"}) {
        EXPECT_TRUE(disk.contains(fmt::format(fmt::runtime(name), kind))) << name;
      }
    }

    EXPECT_EQ(ok(client, "bdev_get_iostat", {{"names", {"Malloc0"}}})["bdevs"].size(), 1u);
    EXPECT_EQ(ok(client, "bdev_get_iostat", {{"name", "Malloc0"}})["bdevs"].size(), 1u);
    EXPECT_EQ(refused(client, "bdev_get_iostat", {{"names", {"nothing"}}})["code"], -19);
    EXPECT_EQ(refused(client, "bdev_get_iostat", {{"per_channel", true}})["code"], -22);
    EXPECT_TRUE(ok(client, "bdev_get_iostat", {{"names", {"Malloc0"}}, {"per_channel", true}})["channels"].is_array());

    EXPECT_EQ(ok(client, "bdev_get_iostat", {{"reset_mode", "all"}})["bdevs"][0]["num_write_ops"], 10);
    EXPECT_EQ(ok(client, "bdev_get_iostat")["bdevs"][0]["num_write_ops"], 0);
    block_on(write_blocks(3));
    EXPECT_EQ(ok(client, "bdev_reset_iostat", {{"name", "Malloc0"}, {"mode", "none"}}), true);
    EXPECT_EQ(ok(client, "bdev_get_iostat")["bdevs"][0]["num_write_ops"], 3);
    EXPECT_EQ(ok(client, "bdev_reset_iostat"), true);
    EXPECT_EQ(ok(client, "bdev_get_iostat")["bdevs"][0]["num_write_ops"], 0);
    EXPECT_EQ(refused(client, "bdev_reset_iostat", {{"mode", "maxmin"}})["code"], -95);
  });
}

/// Writes, and keeps its channel until it is asked to stop.
Task<> write_and_stay(int count, std::binary_semaphore& written) {
  auto disk = co_await BdevDesc::open("Malloc0", Access::read_write);
  auto channel = disk.io_channel();
  DmaBuf buf{4096};
  for (int i = 0; i < count; ++i) co_await disk.write(channel, buf, ByteOffset{0});
  written.release();
  try {
    co_await sleep_for(24h);
  } catch (const Error&) {
  }
  channel.close();
  co_await disk.close();
}

TEST_F(MethodsTest, MeasureLatencies) {
  with_disk([](rpc::Client& client) {
    EXPECT_LT(refused(client, "bdev_get_histogram", {{"name", "Malloc0"}})["code"], 0);
    EXPECT_EQ(ok(client, "bdev_enable_histogram", {{"name", "Malloc0"}, {"enable", true}, {"granularity", 5}}), true);
    Thread writer = Thread::create("writer");
    std::binary_semaphore written{0};
    auto writing = writer.spawn(write_and_stay(25, written));
    written.acquire();
    const Json answer = ok(client, "bdev_get_histogram", {{"name", "Malloc0"}});
    writing.request_stop();
    writing.wait();
    EXPECT_EQ(answer["granularity"], 5);
    EXPECT_GT(answer["tsc_rate"], 0);
    const auto bytes = base64_decode(answer["histogram"].get<std::string>());
    std::vector<std::uint64_t> counts(bytes.size() / sizeof(std::uint64_t));
    std::memcpy(counts.data(), bytes.data(), bytes.size());
    EXPECT_EQ(LatencyHistogram::from_counts(5, counts).count(), 25u);
    EXPECT_EQ((answer["max_range"].get<std::size_t>() + 1) << 5, counts.size());
    EXPECT_EQ(ok(client, "bdev_enable_histogram", {{"name", "Malloc0"}, {"enable", false}}), true);
    EXPECT_EQ(
        refused(client, "bdev_enable_histogram", {{"name", "Malloc0"}, {"enable", true}, {"granularity", 60}})["code"],
        -32602);
    EXPECT_EQ(
        refused(client, "bdev_enable_histogram", {{"name", "Malloc0"}, {"enable", true}, {"opc", "read"}})["code"],
        -32602);
    EXPECT_EQ(refused(client, "bdev_enable_histogram", {{"name", "nothing"}, {"enable", true}})["code"], -19);
  });
}

TEST_F(MethodsTest, SaveAConfigurationThatLoadsAgain) {
  Json saved;
  Json devices;
  serve(options(), [&](rpc::Client& client) {
    ok(client, "bdev_malloc_create", {{"name", "Malloc0"}, {"num_blocks", 8192}, {"block_size", 512}});
    ok(client, "bdev_null_create", {{"name", "Null0"}, {"num_blocks", 100}, {"block_size", 4096}});
    ok(client, "bdev_passthru_create", {{"name", "Pass0"}, {"base_bdev_name", "Malloc0"}});
    ok(client, "bdev_enable_histogram", {{"name", "Null0"}, {"enable", true}});
    saved = ok(client, "save_config");
    devices = ok(client, "bdev_get_bdevs");
    EXPECT_EQ(ok(client, "framework_get_subsystems")[0]["subsystem"], "bdev");
    EXPECT_EQ(ok(client, "framework_get_config", {{"name", "bdev"}}), saved["subsystems"][0]["config"]);
    EXPECT_EQ(refused(client, "framework_get_config", {{"name", "vdev"}})["code"], -32602);
    EXPECT_EQ(saved["subsystems"][0]["config"].back()["method"], "bdev_wait_for_examine");
  });
  AppOptions again = options();
  again.json_data = saved.dump();
  serve(again, [&](rpc::Client& client) {
    EXPECT_EQ(ok(client, "save_config"), saved);
    EXPECT_EQ(ok(client, "bdev_get_bdevs"), devices);
  });
}

TEST_F(MethodsTest, ZonedDevices) {
  Json saved;
  Json zoned;
  serve(options(), [&](rpc::Client& client) {
    Json params = {{"name", "Zoned0"}, {"base_bdev", "Malloc0"}, {"zone_capacity", 1000}, {"optimal_open_zones", 4}};
    EXPECT_EQ(ok(client, "bdev_zone_block_create", params), "Zoned0") << "it waits for its base";
    EXPECT_EQ(ok(client, "bdev_get_bdevs").size(), 0u);
    ok(client, "bdev_malloc_create",
       {{"name", "Malloc0"},
        {"num_blocks", 8192},
        {"block_size", 512},
        {"uuid", "0e6b4a1c-6c60-4d5e-9d2c-0c6f4b2f8a11"}});
    zoned = ok(client, "bdev_get_bdevs", {{"name", "Zoned0"}})[0];
    EXPECT_EQ(zoned["product_name"], "zone_block");
    EXPECT_EQ(zoned["num_blocks"], 8192);
    EXPECT_EQ(zoned["zoned"], true);
    EXPECT_EQ(zoned["zone_size"], 1024);
    EXPECT_EQ(zoned["max_open_zones"], 0);
    EXPECT_EQ(zoned["optimal_open_zones"], 4);
    EXPECT_EQ(zoned["supported_io_types"]["zone_append"], true);
    EXPECT_EQ(zoned["supported_io_types"]["get_zone_info"], true);
    EXPECT_EQ(zoned["supported_io_types"]["unmap"], false);
    EXPECT_EQ(zoned["driver_specific"]["zoned_block"], params) << "as SPDK shows it";
    EXPECT_EQ(refused(client, "bdev_zone_block_create", params)["code"], -17);
    params["name"] = "Zoned1";
    EXPECT_EQ(refused(client, "bdev_zone_block_create", params)["code"], -1);
    params["zone_capacity"] = 0;
    EXPECT_THAT(refused(client, "bdev_zone_block_create", params)["message"].get<std::string>(),
                HasSubstr("zone_capacity"));
    EXPECT_EQ(refused(client, "bdev_zone_block_delete", {{"name", "Malloc0"}})["code"], -19);
    saved = ok(client, "save_config");
  });
  AppOptions again = options();
  again.json_data = saved.dump();
  serve(again, [&](rpc::Client& client) {
    EXPECT_EQ(ok(client, "bdev_get_bdevs", {{"name", "Zoned0"}})[0], zoned) << "also its UUID";
    EXPECT_EQ(ok(client, "bdev_zone_block_delete", {{"name", "Zoned0"}}), true);
    EXPECT_EQ(ok(client, "bdev_get_bdevs")[0]["claimed"], false);
  });
}

TEST_F(MethodsTest, DevicesMayBeConfiguredBeforeTheirBase) {
  serve(options(), [](rpc::Client& client) {
    EXPECT_EQ(ok(client, "bdev_passthru_create", {{"name", "Pass0"}, {"base_bdev_name", "Base"}}), "Pass0");
    // One more level: it waits for what waits itself.
    EXPECT_EQ(ok(client, "bdev_split_create", {{"base_bdev", "Pass0"}, {"split_count", 2}}), Json::array());
    EXPECT_EQ(ok(client, "bdev_error_create", {{"base_name", "Other"}}), true);
    EXPECT_EQ(ok(client, "bdev_delay_create",
                 {{"name", "Slow"},
                  {"base_bdev_name", "Other"},
                  {"avg_read_latency", 1},
                  {"p99_read_latency", 1},
                  {"avg_write_latency", 1},
                  {"p99_write_latency", 1}}),
              "Slow");
    EXPECT_EQ(refused(client, "bdev_passthru_create", {{"name", "Pass0"}, {"base_bdev_name", "Base"}})["code"], -17);
    EXPECT_EQ(ok(client, "bdev_get_bdevs").size(), 0u);

    ok(client, "bdev_malloc_create", {{"name", "Base"}, {"num_blocks", 8192}, {"block_size", 512}});
    std::vector<std::string> names;
    for (const auto& bdev : ok(client, "bdev_get_bdevs")) names.push_back(bdev["name"]);
    EXPECT_THAT(names, testing::UnorderedElementsAre("Base", "Pass0", "Pass0p0", "Pass0p1"));

    // What is deleted while it waits is not made; the other gets the base.
    EXPECT_EQ(ok(client, "bdev_error_delete", {{"name", "EE_Other"}}), true);
    ok(client, "bdev_null_create", {{"name", "Other"}, {"num_blocks", 100}, {"block_size", 4096}});
    EXPECT_EQ(ok(client, "bdev_get_bdevs", {{"name", "Slow"}})[0]["num_blocks"], 100);
    EXPECT_EQ(refused(client, "bdev_get_bdevs", {{"name", "EE_Other"}})["code"], -19);
  });
}

TEST_F(MethodsTest, MemoryOfAMallocDeviceOnANumaNode) {
  serve(options(), [](rpc::Client& client) {
    Json params{{"name", "Malloc0"}, {"num_blocks", 8192}, {"block_size", 512}, {"numa_id", 0}};
    ok(client, "bdev_malloc_create", params);
    EXPECT_EQ(ok(client, "save_config")["subsystems"][0]["config"][0]["params"]["numa_id"], 0);
    for (const int node : {4096, -2}) {
      params["name"] = "Malloc1";
      params["numa_id"] = node;
      const Json error = refused(client, "bdev_malloc_create", params);
      EXPECT_EQ(error["code"], -22);
      EXPECT_THAT(error["message"].get<std::string>(), HasSubstr("numa_id"));
    }
  });
}

TEST_F(MethodsTest, StopTheApplication) {
  for (const char* name : {"SIGTERM", "SIGINT", "TERM", "2"}) {
    const AppOptions with = options();
    std::jthread killer([&] {
      rpc::Client client = connect(with);
      EXPECT_EQ(ok(client, "spdk_kill_instance", {{"sig_name", name}}), true);
    });
    const auto main = []() -> Task<> { co_await App::stop_requested(); };
    EXPECT_EQ(App::run(with, main), 0) << name;
  }
  serve(options(), [](rpc::Client& client) {
    EXPECT_EQ(refused(client, "spdk_kill_instance", {{"sig_name", "SIGSEGV"}})["code"], -32602);
  });
}

TEST_F(MethodsTest, StartWaitsForFrameworkStartInit) {
  AppOptions with = options();
  with.wait_for_rpc = true;
  with.json_data = malloc_config("Malloc0");
  std::atomic<bool> in_main{false};
  std::jthread driver([&] {
    rpc::Client client = connect(with);
    EXPECT_EQ(refused(client, "bdev_get_bdevs")["code"], -1);
    EXPECT_EQ(ok(client, "bdev_set_options", {{"bdev_io_pool_size", 65535}}), true);
    EXPECT_FALSE(in_main);
    std::jthread waiter([&] {
      rpc::Client other = connect(with);
      EXPECT_EQ(ok(other, "framework_wait_init"), true);
    });
    EXPECT_EQ(ok(client, "framework_start_init"), true);
    EXPECT_EQ(ok(client, "bdev_get_bdevs").size(), 1u);
    EXPECT_EQ(refused(client, "framework_start_init")["code"], -1);
    EXPECT_EQ(refused(client, "bdev_set_options")["code"], -1);
    waiter.join();
    App::request_stop();
  });
  const auto main = [&]() -> Task<> {
    in_main = true;
    co_await App::stop_requested();
  };
  EXPECT_EQ(App::run(with, main), 0);
  EXPECT_TRUE(in_main);
}

TEST_F(MethodsTest, StopReachesAnApplicationThatWaitsForItsStart) {
  AppOptions with = options();
  with.wait_for_rpc = true;
  std::jthread driver([&] {
    rpc::Client client = connect(with);
    App::request_stop();
  });
  bool ran = false;
  EXPECT_EQ(App::run(with, [&] { ran = true; }), 0);
  EXPECT_FALSE(ran);
}

TEST_F(MethodsTest, AppKnowsWhereItListens) {
  const AppOptions with = options();
  const auto main = [](App& app) -> Task<std::string> { co_return app.rpc_address(); };
  EXPECT_EQ(App::run_result(with, main), with.rpc_addr);
  EXPECT_EQ(::access(with.rpc_addr.c_str(), F_OK), -1) << "the socket is left behind";
}

}  // namespace
}  // namespace spdkio::app
