// Coming and going: creation, removal under I/O, cancellation, sizes that change, starting again.

#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/sleep.hpp>

#include <poll.h>

#include <cerrno>
#include <fstream>
#include <thread>

#include "bdev_modules/file/file_test_fixture.hpp"
#include "bdev_modules/file/worker_pool.hpp"

namespace spdkio::bdev::file::test {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class FileLifecycleTest : public FileTest {
 protected:
  std::string path_of_disk_;
};
SPDKIO_FILE_TESTS(FileLifecycleTest);

int helper_threads() {
  int count = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream in(task.path() / "comm");
    std::string name;
    if (in >> name && name == "spdkio-file") ++count;
  }
  return count;
}

TEST_P(FileLifecycleTest, EveryRequestEndsAfterAStop) {
  constexpr std::size_t count = 6000;  // more than the kernel gets at once
  with_device(options(make_file("disk", count * 512)), [&](BdevDesc& desc, IoChannel& channel) -> Task<> {
    DmaBuf data{count * 512};
    int good = 0;
    int never_submitted = 0;
    int aborted = 0;
    auto operation = [&](std::size_t i) -> IoOperation<> {
      const LbaRange where{Lba{i}, BlockCount{1}};
      const DmaSpan buffer = data.subspan(i * 512, 512);
      if (i % 3 == 0) return desc.read(channel, buffer, where);
      if (i % 3 == 1) return desc.write(channel, buffer, where);
      return desc.write_zeroes(channel, where);
    };
    auto one = [&](std::size_t i) -> Task<> {
      auto result = co_await as_result(operation(i));
      if (result) {
        ++good;
        co_return;
      }
      EXPECT_EQ(result.error().code(), std::errc::operation_canceled) << result.error().what();
      if (result.error().outcome() == Outcome::never_submitted) {
        ++never_submitted;
      } else {
        ++aborted;
      }
    };
    Scope scope;
    for (std::size_t i = 0; i < count; ++i) scope.spawn(one(i));
    scope.request_stop();
    co_await scope.join();
    EXPECT_EQ(good + never_submitted + aborted, static_cast<int>(count));
    EXPECT_GT(never_submitted, 0) << "those beyond the limit were still waiting";
    EXPECT_EQ(channel.in_flight(), 0u);
    // The device is as good as before.
    co_await desc.read(channel, data.subspan(0, 512), ByteOffset{0});
  });
}

TEST_P(FileLifecycleTest, AStopInTheMiddleOfTheWork) {
  constexpr std::size_t count = 2000;
  with_device(options(make_file("disk", count * 4096)), [&](BdevDesc& desc, IoChannel& channel) -> Task<> {
    DmaBuf data{4096};
    std::size_t ended = 0;
    auto one = [&](std::size_t i) -> Task<> {
      const ByteRange where{ByteOffset{i * 4096}, ByteCount{4096}};
      // Slow operations, of which the kernel works on a few at a time: some can be taken back.
      auto result = co_await as_result(desc.write_zeroes(channel, where));
      if (!result) {
        EXPECT_EQ(result.error().code(), std::errc::operation_canceled) << result.error().what();
        EXPECT_NE(result.error().outcome(), Outcome::failed);
      }
      ++ended;
    };
    Scope scope;
    for (std::size_t i = 0; i < count; ++i) scope.spawn(one(i));
    co_await sleep_for(1ms);
    scope.request_stop();
    co_await scope.join();
    EXPECT_EQ(ended, count);
    EXPECT_EQ(channel.in_flight(), 0u);
    co_await desc.read(channel, data, ByteOffset{0});
  });
}

TEST_P(FileLifecycleTest, RemovalUnderIo) {
  with_device(options(make_file("disk", 4 << 20)), [&](BdevDesc& desc, IoChannel& channel) -> Task<> {
    DmaBuf data{64 * 4096};
    int refused = 0;
    auto loop = [&](std::uint64_t i) -> Task<> {
      for (;;) {
        auto result = co_await as_result(desc.read(channel, data.subspan(i * 4096, 4096), ByteOffset{i * 4096}));
        if (result) continue;
        EXPECT_EQ(result.error().code(), std::errc::no_such_device) << result.error().what();
        ++refused;
        co_return;
      }
    };
    Scope scope;
    for (std::uint64_t i = 0; i < 64; ++i) scope.spawn(loop(i));
    co_await sleep_for(2ms);
    auto deleting = delete_file("File0");
    co_await std::move(deleting);
    co_await scope.join();
    EXPECT_EQ(refused, 64);
    auto event = co_await desc.next_event();
    EXPECT_TRUE(event && event->type == BdevEventType::remove);
    EXPECT_TRUE(desc.bdev().removed());
  });
  EXPECT_FALSE(Bdev::find("File0").has_value());
}

TEST_P(FileLifecycleTest, AgainAndAgain) {
  const std::string file = make_file("disk", 1 << 20);
  for (unsigned round = 0; round < 10; ++round) {
    with_device(options(file), [&](BdevDesc& desc, IoChannel& channel) -> Task<> {
      DmaBuf data{4096};
      DmaBuf back{4096};
      co_await desc.read(channel, back, ByteOffset{8192});
      if (round > 0) {
        fill_random(data, round - 1);
        EXPECT_TRUE(equal(data, back)) << "what the round before wrote is there";
      }
      fill_random(data, round);
      co_await desc.write(channel, data, ByteOffset{8192});
    });
    if (round % 2 == 0) {
      block_on(delete_file("File0"));
    } else {
      stop_engine();
      engine_.emplace();
      thread_.emplace(Thread::attach("test"));
    }
  }
  EXPECT_EQ(open_rings(), 0);
}

TEST_P(FileLifecycleTest, HelperThreadsEndWithTheLastDevice) {
  with_device(options(make_file("disk", 1 << 20)), [&](BdevDesc& desc, IoChannel& channel) -> Task<> {
    static_cast<void>(co_await desc.seek_data(channel, Lba{0}));
    EXPECT_GT(helper_threads(), 0);
    EXPECT_LE(helper_threads(), static_cast<int>(WorkerPool::max_threads));
  });
  block_on(delete_file("File0"));
  EXPECT_EQ(helper_threads(), 0);
}

TEST_P(FileLifecycleTest, AnIdleThreadSleepsAndIsWokenByTheDevice) {
  with_device(options(make_file("disk", 1 << 20)), [&](BdevDesc& desc, IoChannel& channel) -> Task<> {
    auto* core = detail::ThreadCore::current();
    DmaBuf data{4096};
    co_await desc.read(channel, data, ByteOffset{0});
    // Left alone, the Thread comes to have nothing to do, and no reason to look every now and then.
    const auto quiet = [&] {
      pollfd wait{.fd = core->wait_fd(), .events = POLLIN, .revents = 0};
      return ::poll(&wait, 1, 0) == 0;
    };
    bool was_quiet = false;
    for (int i = 0; i < 1000 && !was_quiet; ++i) {
      co_await sleep_for(1ms);
      was_quiet = quiet();
    }
    EXPECT_TRUE(was_quiet);
    EXPECT_LT(core->next_wait().count(), 0) << "nothing but the kernel needs to wake it";
    for (int i = 0; i < 50; ++i) co_await desc.read(channel, data, ByteOffset{0});
  });
}

TEST_P(FileLifecycleTest, SizesThatChange) {
  const std::string file = make_file("disk", 1 << 20);
  with_device(options(file), [&](BdevDesc& desc, IoChannel& channel) -> Task<> {
    const std::uint32_t block = desc.block_size();
    auto rescan = [](std::string name) -> Task<BlockCount> {
      auto looking = rescan_file(name);
      co_return co_await std::move(looking);
    };
    EXPECT_EQ(co_await rescan("File0"), BlockCount{(1 << 20) / block});
    EXPECT_EQ(::truncate(file.c_str(), (3 << 20) + 100), 0);
    EXPECT_EQ(co_await rescan("File0"), BlockCount{(3 << 20) / block});
    auto event = co_await desc.next_event();
    EXPECT_TRUE(event && event->type == BdevEventType::resize);
    EXPECT_EQ(desc.size().value, 3u << 20);
    DmaBuf data{4096};
    co_await desc.write(channel, data, ByteOffset{(3 << 20) - 4096});

    EXPECT_EQ(::truncate(file.c_str(), 2 << 20), 0);
    auto shrinking = rescan("File0");
    auto result = co_await as_result(std::move(shrinking));
    EXPECT_FALSE(result);
    if (!result) {
      EXPECT_EQ(result.error().code(), std::errc::device_or_resource_busy);
    }
    EXPECT_EQ(desc.size().value, 3u << 20);
  });
  EXPECT_EQ(block_on(rescan_file("File0")).value * Bdev::find("File0")->block_size(), 2u << 20);
  EXPECT_EQ(::truncate(file.c_str(), 0), 0);
  EXPECT_EQ(block_on(rescan_file("File0")), BlockCount{0});
  EXPECT_FALSE(Bdev::find("File0").has_value());
  EXPECT_EQ(failure_of(rescan_file("File0")).code(), std::errc::no_such_device);
}

TEST_P(FileLifecycleTest, AThreadThatMovesToAnotherOsThread) {
  // Nobody should; the kernel then refuses the ring, and every request must still end.
  block_on(create_file(options(path_of_disk_ = make_file("disk", 1 << 20))));
  auto core = std::make_shared<detail::ThreadCore>("mover", CpuSet{});
  const ThreadHandle mover{core->mailbox()};
  std::optional<BdevDesc> desc;
  IoChannel channel;
  DmaBuf data{8 * 4096};
  const auto drive = [&](auto& task) {
    while (!task.done()) core->poll();
    task.wait();
  };
  auto open = [&]() -> Task<> {
    auto opening = BdevDesc::open("File0");
    desc.emplace(co_await std::move(opening));
    channel = desc->io_channel();
    co_await desc->read(channel, data.subspan(0, 4096), ByteOffset{0});
  };
  int good = 0;
  int refused = 0;
  auto read_one = [&](std::uint64_t i) -> Task<> {
    auto result = co_await as_result(desc->read(channel, data.subspan(i * 4096, 4096), ByteOffset{i * 4096}));
    ++(result ? good : refused);
  };
  auto read_and_close = [&]() -> Task<> {
    Scope scope;
    for (std::uint64_t i = 0; i < 8; ++i) scope.spawn(read_one(i));
    co_await scope.join();
    channel.close();
    auto closing = desc->close();
    co_await std::move(closing);
  };
  std::thread([&] {
    auto task = mover.spawn(open());
    drive(task);
  }).join();
  std::thread([&] {
    auto task = mover.spawn(read_and_close());
    drive(task);
    core->finish();
  }).join();
  EXPECT_EQ(good + refused, 8);
  if (GetParam() == FileBackend::threads) {
    EXPECT_EQ(good, 8);
  } else if (refused > 0) {
    EXPECT_THAT(log_text(), HasSubstr("takes no more file I/O"));
  }
}

TEST_P(FileLifecycleTest, NamesAreTakenOnce) {
  const std::string file = make_file("disk", 1 << 20);
  block_on(create_file(options(file)));
  EXPECT_EQ(failure_of(create_file(options(file))).code(), std::errc::file_exists);
  EXPECT_EQ(block_on(rescan_file("File0")), Bdev::find("File0")->num_blocks()) << "the first one is still known";
  block_on(delete_file("File0"));
  EXPECT_EQ(failure_of(delete_file("File0")).code(), std::errc::no_such_device);
}

}  // namespace
}  // namespace spdkio::bdev::file::test
