// SPDK's interrupt mode: Threads that sleep until an event, modules that only poll, and what goes on all the same.
#include <spdkio/app/app.hpp>
#include <spdkio/nvme/controller.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <arpa/inet.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <thread>

#include "spdk_fixture.hpp"

namespace spdkio::spdk_test {
namespace {

/// Whether the current Thread, called from a task that was just resumed, looks for work only when it is told of it.
bool sleeps_for_good() { return spdkio::detail::ThreadCore::current()->next_wait() < 0ns; }

Task<> until_it_sleeps_for_good() {
  do {
    co_await sleep_for(2ms);
  } while (!sleeps_for_good());
}

Task<> until_it_naps() {
  do {
    co_await sleep_for(2ms);
  } while (sleeps_for_good());
}

/// On the Thread of a handle, to its end.
template <class Make>
Task<> on(ThreadHandle thread, Make make) {
  co_await resume_on(thread);
  auto task = make();
  co_await std::move(task);
}

Task<> write_and_read(BdevDesc& desc, IoChannel& channel, unsigned seed) {
  constexpr std::size_t depth = 32;
  const DmaBuf data{depth * 4096};
  const DmaBuf found{depth * 4096};
  fill_random(data, seed);
  auto one = [&](std::size_t i) -> Task<> {
    co_await desc.write(channel, data.subspan(i * 4096, 4096), blocks(i * 8, 8));
    co_await desc.read(channel, found.subspan(i * 4096, 4096), blocks(i * 8, 8));
  };
  for (int round = 0; round < 4; ++round) {
    Scope scope;
    for (std::size_t i = 0; i < depth; ++i) scope.spawn(one(i));
    co_await scope.join();
    // The wake-up from a sleep of its own length, then one request alone.
    co_await sleep_for(std::chrono::milliseconds{round * 3});
    co_await one(static_cast<std::size_t>(round));
  }
  EXPECT_TRUE(equal(data, found));
}

class SpdkInterruptTest : public SpdkTest {
 protected:
  PollMode poll_mode() const override { return PollMode::interrupt; }

  void make_aio(const std::string& name) {
    const std::string file = make_file(name, device_blocks * 512);
    ask("bdev_aio_create", {{"name", name}, {"filename", file}, {"block_size", 512}});
  }
  static void exercise(const std::string& name, unsigned seed) {
    Open open(name);
    const auto ended = run(write_and_read(open.desc, open.channel, seed));
    ASSERT_TRUE(ended) << name << ": " << ended.error().what();
  }
};

TEST_F(SpdkInterruptTest, SleepsForGoodWithAModuleThatTells) {
  make_aio("Disk");
  Open open("Disk");
  for (unsigned i = 0; i < 10; ++i) {
    const auto ended = run(write_and_read(open.desc, open.channel, i));
    ASSERT_TRUE(ended) << ended.error().what();
    block_on(until_it_sleeps_for_good());
  }
}

TEST_F(SpdkInterruptTest, NapsWithAModuleThatOnlyPollsAndSleepsOnceItIsGone) {
  make_malloc("Malloc");
  ask("bdev_null_create", {{"name", "Null"}, {"num_blocks", device_blocks}, {"block_size", 512}});
  make_aio("Aio");
  {
    Open aio("Aio");
    block_on(until_it_sleeps_for_good());
    {
      Open null("Null");
      const DmaBuf data{4096};
      ASSERT_TRUE(run(null.desc.read(null.channel, data, blocks(0, 8))));
      block_on(until_it_naps());
      ASSERT_TRUE(run(null.desc.read(null.channel, data, blocks(0, 8))));
      const auto beside = run(write_and_read(aio.desc, aio.channel, 1));
      ASSERT_TRUE(beside) << beside.error().what();
    }
    block_on(until_it_sleeps_for_good());
    const auto ended = run(write_and_read(aio.desc, aio.channel, 2));
    ASSERT_TRUE(ended) << ended.error().what();
    block_on(until_it_sleeps_for_good());
    Open malloc("Malloc");
    const auto copied = run(write_and_read(malloc.desc, malloc.channel, 3));
    ASSERT_TRUE(copied) << copied.error().what();
    block_on(until_it_naps());
  }
  // What copies in software for malloc polls as long as the Thread has a channel to any bdev.
  block_on(until_it_sleeps_for_good());
  Open aio("Aio");
  const auto ended = run(write_and_read(aio.desc, aio.channel, 4));
  ASSERT_TRUE(ended) << ended.error().what();
  block_on(until_it_sleeps_for_good());
}

TEST_F(SpdkInterruptTest, DevicesOfOursServeSpdk) {
  auto make = []() -> Task<> {
    bdev::MallocOptions options{.name = "Ours", .num_blocks = device_blocks};
    co_await bdev::create_malloc(options);
  };
  block_on(make());
  ask("bdev_passthru_create", {{"name", "Over"}, {"base_bdev_name", "Ours"}});
  exercise("Ours", 1);
  Open open("Over");
  const auto ended = run(write_and_read(open.desc, open.channel, 2));
  ASSERT_TRUE(ended) << ended.error().what();
  block_on(until_it_sleeps_for_good());
}

TEST_F(SpdkInterruptTest, TimersOfSpdksModulesRun) {
  make_aio("Base");
  ask("bdev_delay_create", {{"name", "Slow"},
                            {"base_bdev_name", "Base"},
                            {"avg_read_latency", 3000},
                            {"p99_read_latency", 3000},
                            {"avg_write_latency", 3000},
                            {"p99_write_latency", 3000}});
  exercise("Slow", 1);
  // A limit is kept by a poller with a period.
  ask("bdev_set_qos_limit", {{"name", "Base"}, {"rw_ios_per_sec", 20000}});
  exercise("Slow", 2);
}

TEST_F(SpdkInterruptTest, ThreadsThatSleepHearOfEachOther) {
  make_aio("Disk");
  BdevDesc desc = open("Disk");
  constexpr std::size_t threads = 3;
  std::atomic<bool> stop{false};
  std::vector<ThreadHandle> handles(threads);
  std::atomic<std::size_t> up{0};
  std::vector<std::thread> others;
  for (std::size_t i = 0; i < threads; ++i) {
    others.emplace_back([&, i] {
      Thread thread = Thread::attach("sleeper");
      handles[i] = thread.handle();
      ++up;
      auto* const core = spdkio::detail::ThreadCore::current();
      while (!stop) {
        if (thread.poll() == 0) core->wait(std::chrono::nanoseconds{-1});
      }
      thread.close();
    });
  }
  while (up < threads) std::this_thread::yield();
  // A channel of each Thread; SPDK asks them all when the statistics are read and when the device goes.
  auto use = [&]() -> Task<> {
    IoChannel channel = desc.io_channel();
    auto io = write_and_read(desc, channel, 5);
    co_await std::move(io);
    co_await until_it_sleeps_for_good();
  };
  auto hold = [&](Event& done) -> Task<> {
    IoChannel channel = desc.io_channel();
    const DmaBuf data{512};
    co_await desc.read(channel, data, blocks(0, 1));
    co_await done.wait();
  };
  auto release = [](Event& done) -> Task<> {
    done.set();
    co_return;
  };
  auto all = [&]() -> Task<> {
    for (int round = 0; round < 5; ++round) {
      for (const ThreadHandle& thread : handles) {
        auto there = on(thread, use);
        co_await std::move(there);
      }
    }
    std::array<Event, threads> done;  // each of its own Thread
    Scope scope;
    for (std::size_t i = 0; i < threads; ++i) scope.spawn(on(handles[i], [&, i] { return hold(done[i]); }));
    for (int round = 0; round < 20; ++round) {
      co_await sleep_for(1ms);
      auto asked = call_spdk("bdev_get_iostat", nullptr);
      co_await std::move(asked);
    }
    for (std::size_t i = 0; i < threads; ++i) {
      auto there = on(handles[i], [&, i] { return release(done[i]); });
      co_await std::move(there);
    }
    co_await scope.join();
  };
  const auto ended = run(all());
  EXPECT_TRUE(ended) << ended.error().what();
  stop = true;
  for (const ThreadHandle& thread : handles) EXPECT_TRUE(thread.send([] {}));
  for (std::thread& other : others) other.join();
  block_on(desc.close());
}

TEST_F(SpdkInterruptTest, RemovedUnderIo) {
  make_aio("Disk");
  constexpr std::size_t workers = 32;
  Open open("Disk");
  const DmaBuf data{workers * 512};
  std::size_t done = 0;
  std::size_t refused = 0;
  auto worker = [&](std::size_t i) -> Task<> {
    for (;;) {
      auto result = co_await as_result(open.desc.write(open.channel, data.subspan(i * 512, 512), blocks(i * 16, 1)));
      if (!result) {
        EXPECT_EQ(result.error().code(), std::errc::no_such_device) << result.error().what();
        ++refused;
        co_return;
      }
      ++done;
    }
  };
  auto listen = [&]() -> Task<> {
    const auto event = co_await open.desc.next_event();
    EXPECT_TRUE(event && event->type == bdev::BdevEventType::remove);
  };
  auto all = [&]() -> Task<> {
    Scope scope;
    for (std::size_t i = 0; i < workers; ++i) scope.spawn(worker(i));
    scope.spawn(listen());
    while (done < 4 * workers) co_await yield();
    auto removal = call_spdk("bdev_aio_delete", {{"name", "Disk"}});
    co_await std::move(removal);
    co_await scope.join();
  };
  const auto ended = run(all());
  ASSERT_TRUE(ended) << ended.error().what();
  EXPECT_EQ(refused, workers);
}

int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), size), 0);
  EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  ::close(fd);
  return ntohs(address.sin_port);
}

// The poll groups of SPDK's target are threads of its own, which the engine's control thread polls.
TEST_F(SpdkInterruptTest, SpdksOwnTargetServes) {
  constexpr const char* subnqn = "nqn.2026-11.io.spdkio:interrupt";
  make_aio("Disk");
  const auto port = static_cast<std::uint16_t>(free_port());
  ask("nvmf_create_transport", {{"trtype", "TCP"}});
  ask("nvmf_create_subsystem", {{"nqn", subnqn}, {"allow_any_host", true}});
  ask("nvmf_subsystem_add_ns", {{"nqn", subnqn}, {"namespace", {{"bdev_name", "Disk"}}}});
  ask("nvmf_subsystem_add_listener",
      {{"nqn", subnqn},
       {"listen_address",
        {{"trtype", "TCP"}, {"adrfam", "IPv4"}, {"traddr", "127.0.0.1"}, {"trsvcid", std::to_string(port)}}}});
  const DmaBuf data{64 * 4096};
  const DmaBuf found{64 * 4096};
  fill_random(data, 9);
  auto body = [&]() -> Task<> {
    nvme::TransportId address = nvme::TransportId::tcp("127.0.0.1", port);
    address.subnqn = subnqn;
    auto connecting = nvme::Controller::connect(address);
    nvme::Controller controller = co_await std::move(connecting);
    auto allocating = controller.alloc_io_qpair();
    nvme::Qpair qpair = co_await std::move(allocating);
    const nvme::Namespace ns = controller.ns(1);
    for (std::size_t i = 0; i < 64; ++i) {
      const LbaRange where = blocks(i * 8, 8);
      auto writing = ns.write(qpair, data.subspan(i * 4096, 4096), where);
      co_await writing;
      auto reading = ns.read(qpair, found.subspan(i * 4096, 4096), where);
      co_await reading;
      if (i % 16 == 0) co_await sleep_for(5ms);
    }
    co_await qpair.close();
    co_await controller.detach();
  };
  const auto ended = run(body());
  EXPECT_TRUE(ended) << ended.error().what();
  EXPECT_TRUE(equal(data, found));
  ask("nvmf_delete_subsystem", {{"nqn", subnqn}});
}

AppOptions app_options() {
  AppOptions options;
  options.name = "spdk-interrupt";
  options.no_pci = true;
  options.no_huge = true;
  options.poll_mode = PollMode::interrupt;
  options.json_data = R"({"subsystems":[{"subsystem":"bdev","config":[
      {"method":"bdev_malloc_create","params":{"name":"Malloc0","num_blocks":2048,"block_size":512}},
      {"method":"bdev_passthru_create","params":{"name":"Over","base_bdev_name":"Malloc0"}}]}]})";
  return options;
}

TEST(SpdkInterrupt, AnApplicationSleepsOnItsReactorAndStopsInOrder) {
  auto main = []() -> Task<> {
    EXPECT_EQ(engine::Engine::current().name(), "spdk");
    co_await until_it_sleeps_for_good();
    auto disk = co_await BdevDesc::open("Over", Access::read_write);
    {
      auto channel = disk.io_channel();
      auto io = write_and_read(disk, channel, 4);
      co_await std::move(io);
    }
    co_await disk.close();
    co_await until_it_sleeps_for_good();
  };
  EXPECT_EQ(App::run(app_options(), main), 0);
}

TEST(SpdkInterrupt, StartsInEveryModeOneAfterTheOther) {
  for (const PollMode mode : {PollMode::interrupt, PollMode::adaptive, PollMode::interrupt, PollMode::busy}) {
    Env env = Env::start({.name = "again", .no_pci = true, .no_huge = true, .poll_mode = mode});
    ASSERT_EQ(env.engine().name(), "spdk");
    Thread thread = Thread::attach("again");
    auto asked = call_spdk("bdev_malloc_create", {{"name", "Disk"}, {"num_blocks", 2048}, {"block_size", 512}});
    block_on(std::move(asked));
    {
      Open open("Disk");
      block_on(write_and_read(open.desc, open.channel, 6));
    }
    if (mode == PollMode::interrupt) block_on(until_it_sleeps_for_good());
    thread.close();
    env.stop();
  }
}

}  // namespace
}  // namespace spdkio::spdk_test
