// Removal, events, claims, statistics: what happens around the data.

#include <spdkio/runtime/scope.hpp>

#include <atomic>
#include <thread>

#include "conformance_fixture.hpp"

namespace spdkio::conformance {
namespace {

class LifecycleTest : public DeviceTest {};
INSTANTIATE_TEST_SUITE_P(On, LifecycleTest, ::testing::ValuesIn(all_kinds()),
                         [](const auto& instance) { return std::string(instance.param.test_name); });

TEST_P(LifecycleTest, RemovalUnderIo) {
  constexpr std::size_t workers = 64;
  const DmaBuf data = random_buffer(workers, 1);
  std::size_t done = 0;
  std::size_t refused = 0;
  auto worker = [&](std::size_t i) -> Task<> {
    for (;;) {
      auto result =
          co_await as_result(desc_->write(channel_, data.subspan(i * block_size_, block_size_), blocks(i * 16, 1)));
      if (result) {
        ++done;
        continue;
      }
      EXPECT_EQ(result.error().code(), std::errc::no_such_device) << result.error().what();
      ++refused;
      co_return;
    }
  };
  std::optional<bdev::BdevEvent> event;
  auto listen = [&]() -> Task<> { event = co_await desc_->next_event(); };
  auto all = [&]() -> Task<> {
    Scope scope;
    for (std::size_t i = 0; i < workers; ++i) scope.spawn(worker(i));
    scope.spawn(listen());
    while (done < 4 * workers) co_await yield();
    co_await bdev::Service::current().unregister_device(name_);  // ends although the descriptor is open
    co_await scope.join();
  };
  const auto ended = run(all());
  ASSERT_TRUE(ended) << ended.error().what();
  EXPECT_EQ(refused, workers);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->type, bdev::BdevEventType::remove);
  EXPECT_FALSE(Bdev::find(name_));
  EXPECT_TRUE(desc_->bdev().removed());
  EXPECT_EQ(channel_.in_flight(), 0u);
  EXPECT_EQ(code_of(run(desc_->read(channel_, data.subspan(0, block_size_), blocks(0, 1)))), std::errc::no_such_device);
}

TEST_P(LifecycleTest, TheDescriptorOfARemovedDeviceStillAnswers) {
  unregister(name_);
  EXPECT_EQ(desc_->name(), name_);
  EXPECT_EQ(desc_->num_blocks(), BlockCount{device_blocks});
  EXPECT_EQ(code_of(run(BdevDesc::open(name_, Access::read_only))), std::errc::no_such_device);
  channel_.close();
  try {
    channel_ = desc_->io_channel();
    ADD_FAILURE() << "gave a channel";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), std::errc::no_such_device);
  }
  EXPECT_TRUE(run(desc_->close()));
}

TEST_P(LifecycleTest, EventsEndWithTheDescriptor) {
  std::optional<bdev::BdevEvent> event{bdev::BdevEvent{}};
  auto both = [&]() -> Task<> {
    Scope scope;
    auto listen = [&]() -> Task<> { event = co_await desc_->next_event(); };
    scope.spawn(listen());
    co_await yield();
    co_await desc_->close();
    co_await scope.join();
  };
  ASSERT_TRUE(run(both()));
  EXPECT_FALSE(event);
}

TEST_P(LifecycleTest, TwoThreadsOnOneDevice) {
  constexpr std::size_t rounds = 300;
  const auto half = [&](IoChannel& channel, std::uint64_t first, unsigned seed) {
    const DmaBuf data = random_buffer(8, seed);
    const DmaBuf found = buffer(8);
    for (std::size_t i = 0; i < rounds; ++i) {
      const LbaRange where = blocks(first + i % 100 * 8, 8);
      ASSERT_TRUE(run(desc_->write(channel, data, where)));
      ASSERT_TRUE(run(desc_->read(channel, found, where)));
      ASSERT_TRUE(equal(data, found));
    }
  };
  std::atomic<bool> done{false};
  std::thread second([&] {
    Thread thread = Thread::attach("second");
    {
      IoChannel channel = desc_->io_channel();
      half(channel, 1024, 2);
    }
    thread.close();
    done = true;
  });
  half(channel_, 0, 1);
  // A device may need the Thread that made it for what is asked on another.
  while (!done) thread_->poll();
  second.join();
  const auto stats = run(desc_->bdev().stats());
  ASSERT_TRUE(stats);
  EXPECT_EQ((*stats)[IoType::write].operations, 2 * rounds) << "those of the closed channel count";
}

TEST_P(LifecycleTest, StatisticsAndHistogram) {
  const DmaBuf data = buffer(4);
  const Bdev device = desc_->bdev();
  ASSERT_TRUE(run(device.reset_stats()));
  ASSERT_TRUE(run(device.enable_histogram(true)));
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(run(desc_->write(channel_, data, blocks(8, 4))));
  for (int i = 0; i < 7; ++i) ASSERT_TRUE(run(desc_->read(channel_, data, blocks(8, 4))));
  ASSERT_FALSE(run(desc_->read(channel_, data, blocks(device_blocks, 4))));
  const auto stats = run(device.stats());
  ASSERT_TRUE(stats);
  EXPECT_EQ((*stats)[IoType::write].operations, 10u);
  EXPECT_EQ((*stats)[IoType::write].bytes, 10u * 4 * block_size_);
  EXPECT_EQ((*stats)[IoType::write].timed_operations, 10u);
  EXPECT_EQ((*stats)[IoType::read].operations, 7u) << "what was refused is not counted";
  EXPECT_EQ((*stats)[IoType::read].errors, 0u);
  const auto histogram = run(device.histogram());
  ASSERT_TRUE(histogram);
  EXPECT_EQ(histogram->count(), 17u);
  ASSERT_TRUE(run(device.enable_histogram(false)));
  EXPECT_EQ(code_of(run(device.histogram())), Misuse::invalid_argument);
  ASSERT_TRUE(run(device.reset_stats()));
  EXPECT_EQ((*run(device.stats()))[IoType::write].operations, 0u);
}

TEST_P(LifecycleTest, AStopBeforeTheSubmission) {
  const DmaBuf data = buffer(1);
  Result<> result;
  auto body = [&]() -> Task<> {
    Scope scope;
    auto one = [&]() -> Task<> {
      co_await yield();
      result = co_await as_result(desc_->write(channel_, data, blocks(0, 1)));
    };
    scope.spawn(one());
    scope.request_stop();
    co_await scope.join();
  };
  block_on(body());
  EXPECT_EQ(code_of(result), std::errc::operation_canceled);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().outcome(), Outcome::never_submitted);
}

TEST_P(LifecycleTest, Claims) {
  block_on(desc_->close());
  channel_.close();
  BdevDesc holder = open(name_);
  holder.claim(bdev::Claim::exclusive_write, "alpha");
  const auto writer = run(BdevDesc::open(name_, Access::read_write));
  ASSERT_FALSE(writer);
  EXPECT_EQ(writer.error().code(), std::errc::operation_not_permitted);
  EXPECT_THAT(writer.error().what(), HasSubstr("alpha"));
  BdevDesc reader = open(name_, Access::read_only);
  try {
    reader.claim(bdev::Claim::exclusive_write, "beta");
    ADD_FAILURE() << "two exclusive writers";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), std::errc::operation_not_permitted);
    EXPECT_THAT(error.what(), HasSubstr("alpha"));
  }
  EXPECT_THAT(holder.bdev().claim().modules, ::testing::ElementsAre("alpha"));
  holder.release_claim();
  EXPECT_EQ(holder.bdev().claim().type, bdev::Claim::none);
  block_on(holder.close());
  reader.claim(bdev::Claim::read_many_write_none, "beta");
  BdevDesc second = open(name_, Access::read_only);
  second.claim(bdev::Claim::read_many_write_none, "gamma");
  EXPECT_THAT(second.bdev().claim().modules, ::testing::UnorderedElementsAre("beta", "gamma"));
  EXPECT_EQ(code_of(run(BdevDesc::open(name_, Access::read_write))), std::errc::operation_not_permitted);
  block_on(reader.close());
  block_on(second.close());
  desc_.emplace(open(name_));
}

class ClaimTest : public EngineTest {};

TEST_F(ClaimTest, WritersWithTheSameKeyShare) {
  block_on(bdev::create_malloc({.name = "Disk", .num_blocks = 64}));
  BdevDesc first = open("Disk");
  first.claim(bdev::Claim::read_many_write_shared, "alpha", 7);
  BdevDesc second = open("Disk");
  second.claim(bdev::Claim::read_many_write_shared, "beta", 7);
  BdevDesc third = open("Disk");
  EXPECT_THROW(third.claim(bdev::Claim::read_many_write_shared, "gamma", 8), Error);
  EXPECT_THROW(first.claim(bdev::Claim::read_many_write_shared, "alpha", 7), Error) << "it holds one already";
  for (BdevDesc* desc : {&first, &second, &third}) block_on(desc->close());
}

TEST_F(ClaimTest, StackedDevicesClaimTheirBase) {
  block_on(bdev::create_malloc({.name = "Base", .num_blocks = 64}));
  block_on(bdev::create_passthru({.name = "Top", .base = "Base"}));
  EXPECT_THAT(Bdev::find("Base")->claim().modules, ::testing::ElementsAre("passthru"));
  const auto second = run(bdev::create_error({.base = "Base"}));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), std::errc::operation_not_permitted);
  EXPECT_THAT(second.error().what(), HasSubstr("passthru"));
  block_on(bdev::delete_passthru("Top"));
  EXPECT_EQ(Bdev::find("Base")->claim().type, bdev::Claim::none);
  block_on(bdev::create_error({.base = "Base"}));
  EXPECT_TRUE(Bdev::find("EE_Base"));
}

TEST_F(ClaimTest, AnOpenWriterKeepsAClaimAway) {
  block_on(bdev::create_malloc({.name = "Base", .num_blocks = 64}));
  BdevDesc writer = open("Base");
  EXPECT_EQ(code_of(run(bdev::create_passthru({.name = "Top", .base = "Base"}))), std::errc::operation_not_permitted);
  EXPECT_FALSE(Bdev::find("Top"));
  block_on(writer.close());
}

/// Sizes and removals that reach devices standing on others.
class ResizeTest : public EngineTest {};

TEST_F(ResizeTest, ArrivesAsAnEventAndMovesTheEnd) {
  block_on(bdev::create_null({.name = "Base", .num_blocks = 100}));
  block_on(bdev::create_passthru({.name = "Top", .base = "Base"}));
  BdevDesc desc = open("Top");
  IoChannel channel = desc.io_channel();
  const DmaBuf data{512};
  EXPECT_EQ(code_of(run(desc.read(channel, data, blocks(100, 1)))), Misuse::out_of_range);
  bdev::Service::current().notify_resize("Base", BlockCount{200});
  const auto event = block_on(desc.next_event());
  ASSERT_TRUE(event);
  EXPECT_EQ(event->type, bdev::BdevEventType::resize);
  EXPECT_EQ(event->num_blocks, BlockCount{200});
  EXPECT_EQ(desc.num_blocks(), BlockCount{200});
  EXPECT_TRUE(run(desc.read(channel, data, blocks(199, 1))));
  EXPECT_THROW(bdev::Service::current().notify_resize("Top", BlockCount{50}), Error) << "it is open";
  EXPECT_EQ(desc.num_blocks(), BlockCount{200});
  channel.close();
  block_on(desc.close());
}

TEST_F(ResizeTest, ARemovedBaseTakesWhatStandsOnItAlong) {
  block_on(bdev::create_malloc({.name = "Base", .num_blocks = 4096}));
  block_on(bdev::create_split({.base = "Base", .count = 2}));
  block_on(bdev::create_passthru({.name = "Top", .base = "Basep1"}));
  BdevDesc desc = open("Top");
  unregister("Base");
  const auto event = block_on(desc.next_event());
  ASSERT_TRUE(event);
  EXPECT_EQ(event->type, bdev::BdevEventType::remove);
  EXPECT_TRUE(Bdev::all().empty());
  block_on(desc.close());
}

TEST_F(ResizeTest, TheThreadThatMadeAStackedDeviceMayHaveEnded) {
  std::thread([] {
    block_on(bdev::create_null({.name = "Base", .num_blocks = 100}));
    block_on(bdev::create_passthru({.name = "Top", .base = "Base"}));
    block_on(bdev::create_passthru({.name = "Roof", .base = "Top"}));
  }).join();
  bdev::Service::current().notify_resize("Base", BlockCount{200});
  EXPECT_EQ(Bdev::find("Roof")->num_blocks(), BlockCount{200});
  block_on(bdev::delete_passthru("Roof"));
  EXPECT_EQ(Bdev::find("Top")->claim().type, bdev::Claim::none);
  unregister("Base");
  EXPECT_TRUE(Bdev::all().empty());
}

TEST_F(ResizeTest, PartsRemovedAtOnceLetTheirBaseGo) {
  block_on(bdev::create_null({.name = "Base", .num_blocks = 100}));
  block_on(bdev::create_split({.base = "Base", .count = 2}));
  auto both = []() -> Task<> {
    auto& service = bdev::Service::current();
    co_await when_all(service.unregister_device("Basep0"), service.unregister_device("Basep1"));
  };
  block_on(both());
  EXPECT_EQ(Bdev::find("Base")->claim().type, bdev::Claim::none);
  block_on(bdev::create_split({.base = "Base", .count = 4}));
  EXPECT_EQ(Bdev::all().size(), 5u);
}

}  // namespace
}  // namespace spdkio::conformance
