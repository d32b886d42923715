// Starts and stops, Threads that end, an application that stops under load, and requests for which SPDK has no room.
#include <spdkio/app/app.hpp>
#include <spdkio/rpc/client.hpp>

#include <algorithm>
#include <atomic>
#include <thread>

#include "app/app_test_support.hpp"
#include "spdk_fixture.hpp"

namespace spdkio::spdk_test {
namespace {

using SpdkThreadTest = SpdkTest;

TEST_F(SpdkThreadTest, AMessageToOneThatHasEndedIsAnError) {
  make_malloc("Disk");
  ThreadHandle gone;
  {
    BdevDesc desc = open("Disk");
    std::thread other([&] {
      Thread thread = Thread::attach("brief");
      gone = thread.handle();
      const DmaBuf data{512};
      {
        IoChannel channel = desc.io_channel();
        EXPECT_TRUE(run(desc.write(channel, data, blocks(0, 1))));
      }
      thread.close();
    });
    other.join();
    block_on(desc.close());
  }
  const auto sent = gone.send([] { ADD_FAILURE() << "ran on a Thread that has ended"; });
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code(), std::errc::no_such_process);
  EXPECT_THAT(sent.error().what(), HasSubstr("brief"));
}

TEST_F(SpdkThreadTest, OneThatEndsWithAnOpenChannelLeavesTheOthersAlone) {
  make_malloc("Disk");
  Open open("Disk");
  for (int i = 0; i < 20; ++i) {
    std::thread other([&] {
      Thread thread = Thread::attach("passing");
      {
        IoChannel channel = open.desc.io_channel();
        const DmaBuf data{512};
        EXPECT_TRUE(run(open.desc.write(channel, data, blocks(1, 1))));
      }
      thread.close();
    });
    other.join();
    const DmaBuf data{512};
    ASSERT_TRUE(run(open.desc.read(open.channel, data, blocks(1, 1))));
  }
}

TEST(SpdkStart, AgainAndAgain) {
  for (int i = 0; i < 5; ++i) {
    Env env = Env::start({.name = "again", .no_pci = true, .no_huge = true});
    ASSERT_EQ(env.engine().name(), "spdk");
    Thread thread = Thread::attach("again");
    auto asked = call_spdk("bdev_malloc_create", {{"name", "Disk"}, {"num_blocks", 2048}, {"block_size", 512}});
    block_on(std::move(asked));
    {
      Open open("Disk");
      const DmaBuf data{512};
      auto body = [&]() -> Task<> { co_await open.desc.write(open.channel, data, blocks(0, 1)); };
      block_on(body());
    }
    thread.close();
    env.stop();
  }
}

AppOptions app_options(std::string json) {
  return {.name = "spdk-app", .json_data = std::move(json), .no_pci = true, .no_huge = true};
}

TEST(SpdkApplication, StopsInOrderUnderLoad) {
  const app::CapturedLog log;
  std::atomic<std::size_t> done{0};
  auto main = [&]() -> Task<> {
    auto disk = co_await BdevDesc::open("Malloc0", Access::read_write);
    auto channel = disk.io_channel();
    const DmaBuf data{std::size_t{64} * 512};
    auto worker = [&](std::size_t i) -> Task<> {
      for (;;) {
        co_await disk.write(channel, data.subspan(i * 512, 512), blocks(i, 1));
        ++done;
        co_await yield();
      }
    };
    std::optional<Error> stopped;
    try {
      Scope scope;
      for (std::size_t i = 0; i < 64; ++i) scope.spawn(worker(i));
      co_await scope.join();
    } catch (const Error& error) {
      stopped = error;
    }
    channel.close();
    co_await disk.close();
    if (stopped) throw Error(*stopped);
  };
  std::thread stopper([&] {
    while (done < 1000) std::this_thread::yield();
    App::request_stop();
  });
  const int rc = App::run(app_options(app::malloc_config("Malloc0")), main);
  stopper.join();
  EXPECT_EQ(rc, 0);
  EXPECT_THAT(log.text(), testing::Not(HasSubstr("[error]")));
  EXPECT_THAT(log.text(), testing::Not(HasSubstr("[critical]")));
}

constexpr const char* small_pool = R"({"subsystems":[{"subsystem":"bdev","config":[
    {"method":"bdev_set_options","params":{"bdev_io_pool_size":64,"bdev_io_cache_size":8}},
    {"method":"bdev_malloc_create","params":{"name":"Disk","num_blocks":2048,"block_size":512}}]}]})";

TEST(SpdkApplication, RequestsForWhichSpdkHasNoRoomWait) {
  constexpr std::size_t count = 512;
  std::size_t done = 0;
  std::uint64_t most = 0;
  auto main = [&]() -> Task<> {
    auto disk = co_await BdevDesc::open("Disk", Access::read_write);
    auto channel = disk.io_channel();
    const DmaBuf data{count * 512};
    fill_random(data, 5);
    auto one = [&](std::size_t i) -> Task<> {
      co_await disk.write(channel, data.subspan(i * 512, 512), blocks(i, 1));
      ++done;
    };
    {
      Scope scope;
      for (std::size_t i = 0; i < count; ++i) scope.spawn(one(i));
      co_await yield();
      most = channel.in_flight();
      co_await scope.join();
    }
    const DmaBuf found{count * 512};
    co_await disk.read(channel, found, blocks(0, count));
    EXPECT_TRUE(equal(data, found));
    channel.close();
    co_await disk.close();
  };
  EXPECT_EQ(App::run(app_options(small_pool), main), 0);
  EXPECT_EQ(done, count);
  EXPECT_GT(most, 64u) << "more than SPDK had room for: the others waited";
}

/// What an application answers to save_config, and its devices, by its own RPC server.
std::pair<Json, Json> saved_by(const std::string& config) {
  const app::TemporaryFolder folder;
  AppOptions options = app_options(config);
  options.rpc_addr = folder.file("rpc.sock");
  Json saved;
  Json devices;
  App::run_result(options, [&] {
    auto client = rpc::Client::connect(options.rpc_addr, {.wait_for_server = true});
    ASSERT_TRUE(client) << client.error().what();
    const auto answer = client->call("save_config");
    ASSERT_TRUE(answer) << answer.error().what();
    saved = *answer;
    const auto listed = client->call("bdev_get_bdevs");
    ASSERT_TRUE(listed) << listed.error().what();
    devices = *listed;
  });
  return {std::move(saved), std::move(devices)};
}

TEST(SpdkApplication, SavesAConfigurationThatLoadsAgain) {
  const auto [saved, devices] = saved_by(R"({"subsystems":[{"subsystem":"bdev","config":[
      {"method":"bdev_malloc_create","params":{"name":"Malloc0","num_blocks":8192,"block_size":512}},
      {"method":"bdev_null_create","params":{"name":"Null0","num_blocks":1000,"block_size":4096}},
      {"method":"bdev_passthru_create","params":{"name":"Pass0","base_bdev_name":"Malloc0"}},
      {"method":"bdev_split_create","params":{"base_bdev":"Null0","split_count":2}}]}]})");
  ASSERT_EQ(devices.size(), 5u) << devices.dump();
  const auto [again, devices_again] = saved_by(saved.dump());
  EXPECT_EQ(again, saved);
  EXPECT_EQ(devices_again.size(), devices.size());
  for (const Json& device : devices) {
    const auto same = [&](const Json& other) {
      return other["name"] == device["name"] && other["uuid"] == device["uuid"] &&
             other["num_blocks"] == device["num_blocks"] && other["block_size"] == device["block_size"];
    };
    EXPECT_EQ(std::count_if(devices_again.begin(), devices_again.end(), same), 1) << device["name"];
  }
}

}  // namespace
}  // namespace spdkio::spdk_test
