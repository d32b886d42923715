// Zones, over every kind of device: a zone_block device is put on it.

#include <spdkio/bdev/zone_status.hpp>
#include <spdkio/runtime/scope.hpp>

#include <algorithm>
#include <thread>

#include "conformance_fixture.hpp"

namespace spdkio::conformance {
namespace {

using bdev::ZoneAction;
using bdev::ZoneInfo;
using State = ZoneInfo::State;

constexpr std::uint64_t zone_capacity = 48;
constexpr std::uint64_t zone_size = 64;
constexpr std::uint64_t zone_count = device_blocks / zone_size;
constexpr Lba zone(std::uint64_t index) { return Lba{index * zone_size}; }

class ZoneTest : public DeviceTest {
 protected:
  /// Over a base whose first two zones were written before.
  void SetUp() override {
    DeviceTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    before_ = random_buffer(2 * zone_size, 1);
    ASSERT_TRUE(run(desc_->write(channel_, before_, blocks(0, 2 * zone_size))));
    channel_.close();
    block_on(desc_->close());
    make_zones({.name = "Zoned", .base = name_, .zone_capacity = BlockCount{zone_capacity}});
  }
  void TearDown() override {
    before_ = {};
    DeviceTest::TearDown();
  }
  void make_zones(const bdev::ZoneBlockOptions& options) {
    const auto made = run(bdev::create_zone_block(options));
    ASSERT_TRUE(made) << made.error().what();
    desc_.emplace(open(options.name));
    channel_ = desc_->io_channel();
  }
  Result<void> manage(std::uint64_t index, ZoneAction action) {
    return run(desc_->zone_management(channel_, zone(index), action));
  }
  ZoneInfo info(std::uint64_t index) {
    std::array<ZoneInfo, 1> found{};
    EXPECT_EQ(run(desc_->zone_report(channel_, zone(index), found)).value_or(0), 1u);
    return found[0];
  }
  static NvmeStatus status_of(const Error& error) {
    NvmeStatus status = error.nvme_status().value_or(NvmeStatus{});
    status.dnr = false;
    return status;
  }
  template <class T>
  static NvmeStatus refusal(const Result<T>& result) {
    EXPECT_FALSE(result) << "it was done";
    return result ? nvme_sc::success : status_of(result.error());
  }
  DmaBuf zeroes(std::uint64_t count) const {
    DmaBuf made = buffer(count);
    made.fill(std::byte{0});
    return made;
  }

  DmaBuf before_;
};

INSTANTIATE_TEST_SUITE_P(Over, ZoneTest, ::testing::ValuesIn(all_kinds()),
                         [](const auto& instance) { return std::string(instance.param.test_name); });

TEST_P(ZoneTest, TheDeviceSaysWhatItIs) {
  const bdev::Geometry& geometry = desc_->bdev().geometry();
  EXPECT_EQ(geometry.zone_size_blocks, zone_size);
  EXPECT_EQ(geometry.block_size, block_size_);
  EXPECT_EQ(desc_->num_blocks(), BlockCount{device_blocks});
  EXPECT_EQ(geometry.optimal_open_zones, 1u);
  EXPECT_EQ(geometry.max_open_zones, 0u);
  for (const IoType type :
       {IoType::read, IoType::write, IoType::zone_report, IoType::zone_management, IoType::zone_append}) {
    EXPECT_TRUE(desc_->supports(type)) << bdev::to_string(type);
  }
  for (const IoType type : {IoType::unmap, IoType::copy, IoType::compare_and_write}) {
    EXPECT_FALSE(desc_->supports(type)) << bdev::to_string(type);
  }
}

TEST_P(ZoneTest, ZonesAreFullAndReadableAtFirst) {
  std::vector<ZoneInfo> found(zone_count + 3);
  ASSERT_EQ(run(desc_->zone_report(channel_, Lba{0}, found)).value_or(0), zone_count);
  for (std::uint64_t i = 0; i < zone_count; ++i) {
    EXPECT_EQ(found[i].zone, blocks(zone(i).value, zone_size));
    EXPECT_EQ(found[i].capacity, BlockCount{zone_capacity});
    EXPECT_EQ(found[i].state, State::full);
  }
  EXPECT_EQ(run(desc_->zone_report(channel_, Lba{zone(4).value + 9}, std::span(found).first(2))).value_or(0), 2u);
  EXPECT_EQ(found[1].zone.first, zone(5));
  expect_content(blocks(0, zone_capacity), before_.subspan(0, zone_capacity * block_size_));
  EXPECT_EQ(refusal(run(desc_->write(channel_, zeroes(1), blocks(0, 1)))), nvme_sc::zone_is_full);
}

TEST_P(ZoneTest, WritesInOrder) {
  ASSERT_TRUE(manage(1, ZoneAction::reset));
  EXPECT_EQ(info(1).state, State::empty);
  EXPECT_EQ(info(1).write_pointer, zone(1));
  expect_content(blocks(zone(1).value, zone_size), zeroes(zone_size));
  const DmaBuf data = random_buffer(zone_capacity, 2);
  // All in flight at once, each behind the one before.
  auto write_one = [&](std::uint64_t at, std::uint64_t count) -> Task<> {
    co_await desc_->write(channel_, data.subspan(at * block_size_, count * block_size_),
                          blocks(zone(1).value + at, count));
  };
  auto write_all = [&]() -> Task<> {
    Scope scope;
    for (std::uint64_t at = 0; at < 40; at += 8) scope.spawn(write_one(at, 8));
    co_await scope.join();
  };
  ASSERT_TRUE(run(write_all()));
  EXPECT_EQ(info(1).state, State::implicitly_open);
  EXPECT_EQ(info(1).write_pointer.value, zone(1).value + 40);
  const DmaBuf one = random_buffer(1, 3);
  EXPECT_EQ(refusal(run(desc_->write(channel_, one, blocks(zone(1).value + 39, 1)))), nvme_sc::zone_invalid_write);
  EXPECT_EQ(refusal(run(desc_->write(channel_, one, blocks(zone(1).value + 41, 1)))), nvme_sc::zone_invalid_write);
  EXPECT_EQ(refusal(run(
                desc_->write(channel_, data.subspan(0, std::size_t{9} * block_size_), blocks(zone(1).value + 40, 9)))),
            nvme_sc::zone_boundary_error);
  EXPECT_EQ(info(1).write_pointer.value, zone(1).value + 40) << "what is refused moves nothing";
  // Across the write pointer: the rest holds nothing.
  const DmaBuf around = buffer(10);
  around.fill(std::byte{0xEE});
  ASSERT_TRUE(run(desc_->read(channel_, around, blocks(zone(1).value + 36, 10))));
  EXPECT_TRUE(equal(around.subspan(0, std::size_t{4} * block_size_), data.subspan(36 * block_size_, 4 * block_size_)));
  EXPECT_TRUE(all_equal_to(around.subspan(std::size_t{4} * block_size_, std::size_t{6} * block_size_), std::byte{0}));
  ASSERT_TRUE(run(write_one(40, 8)));
  EXPECT_EQ(info(1).state, State::full);
  expect_content(blocks(zone(1).value, zone_capacity), data);
  EXPECT_EQ(refusal(run(desc_->read(channel_, around, blocks(zone(2).value - 5, 10)))), nvme_sc::zone_boundary_error);
  expect_content(blocks(0, zone_capacity), before_.subspan(0, zone_capacity * block_size_));
}

TEST_P(ZoneTest, WriteZeroesMovesTheWritePointerToo) {
  if (!desc_->supports(IoType::write_zeroes)) GTEST_SKIP() << "the base has no write_zeroes";
  ASSERT_TRUE(manage(1, ZoneAction::reset));
  ASSERT_TRUE(run(desc_->write_zeroes(channel_, blocks(zone(1).value, 5))));
  EXPECT_EQ(info(1).write_pointer.value, zone(1).value + 5);
  EXPECT_EQ(refusal(run(desc_->write_zeroes(channel_, blocks(zone(1).value, 5)))), nvme_sc::zone_invalid_write);
  expect_content(blocks(zone(1).value, 5), zeroes(5));
}

TEST_P(ZoneTest, AppendsGiveThePlace) {
  ASSERT_TRUE(manage(0, ZoneAction::reset));
  const DmaBuf data = random_buffer(zone_capacity, 4);
  std::vector<std::uint64_t> place_of(16);
  auto append_at = [&](std::uint64_t i) -> Task<> {
    const DmaSpan mine = data.subspan(i * 3 * block_size_, std::size_t{3} * block_size_);
    const std::array<DmaSpan, 2> pieces{mine.subspan(0, block_size_), mine.subspan(block_size_, 2 * block_size_)};
    if (i % 2 == 0) {
      place_of[i] = (co_await desc_->zone_append(channel_, mine, zone(0))).value;
    } else {
      place_of[i] = (co_await desc_->zone_append(channel_, pieces, zone(0))).value;
    }
  };
  auto all = [&]() -> Task<> {
    Scope scope;
    for (std::uint64_t i = 0; i < 16; ++i) scope.spawn(append_at(i));
    co_await scope.join();
  };
  const auto done = run(all());
  ASSERT_TRUE(done) << done.error().what();
  for (std::uint64_t i = 0; i < 16; ++i) {
    EXPECT_LE(place_of[i] + 3, zone_capacity);
    expect_content(blocks(place_of[i], 3), data.subspan(i * 3 * block_size_, std::size_t{3} * block_size_));
  }
  std::ranges::sort(place_of);
  for (std::uint64_t i = 0; i < 16; ++i) EXPECT_EQ(place_of[i], 3 * i);
  EXPECT_EQ(refusal(run(desc_->zone_append(channel_, data.subspan(0, block_size_), zone(0)))), nvme_sc::zone_is_full);
  EXPECT_EQ(refusal(run(desc_->zone_append(channel_, data.subspan(0, block_size_), Lba{1}))), nvme_sc::invalid_field);
}

TEST_P(ZoneTest, ZonesAreOpenedClosedAndFinished) {
  ASSERT_TRUE(manage(2, ZoneAction::reset));
  ASSERT_TRUE(manage(2, ZoneAction::open));
  EXPECT_EQ(info(2).state, State::explicitly_open);
  ASSERT_TRUE(run(desc_->write(channel_, random_buffer(2, 5), blocks(zone(2).value, 2))));
  ASSERT_TRUE(manage(2, ZoneAction::close));
  EXPECT_EQ(info(2).state, State::closed);
  ASSERT_TRUE(manage(2, ZoneAction::finish));
  EXPECT_EQ(info(2).state, State::full);
  expect_content(blocks(zone(2).value + 2, zone_capacity - 2), zeroes(zone_capacity - 2));
  EXPECT_EQ(refusal(manage(2, ZoneAction::open)), nvme_sc::invalid_zone_state_transition);
  EXPECT_EQ(refusal(manage(2, ZoneAction::close)), nvme_sc::invalid_zone_state_transition);
  EXPECT_EQ(refusal(manage(2, ZoneAction::offline)), nvme_sc::invalid_zone_state_transition);
  EXPECT_EQ(refusal(run(desc_->zone_management(channel_, Lba{zone(2).value + 1}, ZoneAction::reset))),
            nvme_sc::invalid_field);
  ASSERT_TRUE(manage(2, ZoneAction::reset));
  EXPECT_EQ(info(2).state, State::empty);
}

TEST_P(ZoneTest, AResetAmongAppendsLosesNothingThatCameAfterIt) {
  ASSERT_TRUE(manage(0, ZoneAction::reset));
  const DmaBuf old = random_buffer(16, 6);
  const DmaBuf fresh = random_buffer(4, 7);
  Lba place{};
  auto append_old = [&](std::uint64_t i) -> Task<> {
    // Before the reset or after it, in whichever order the device takes them.
    co_await desc_->zone_append(channel_, old.subspan(i * block_size_, block_size_), zone(0));
  };
  auto all = [&]() -> Task<> {
    Scope scope;
    for (std::uint64_t i = 0; i < 16; ++i) scope.spawn(append_old(i));
    co_await yield();
    co_await desc_->zone_management(channel_, zone(0), ZoneAction::reset);
    place = co_await desc_->zone_append(channel_, fresh, zone(0));
    co_await scope.join();
  };
  const auto done = run(all());
  ASSERT_TRUE(done) << done.error().what();
  expect_content(blocks(place.value, 4), fresh);
}

TEST_P(ZoneTest, ThreadsAppendToOneZone) {
  ASSERT_TRUE(manage(0, ZoneAction::reset));
  const DmaBuf data = random_buffer(zone_capacity, 8);
  std::array<std::uint64_t, zone_capacity> place_of{};
  auto append_half = [&](std::uint64_t first) -> Task<> {
    IoChannel channel = desc_->io_channel();
    for (std::uint64_t i = first; i < zone_capacity; i += 2) {
      place_of[i] = (co_await desc_->zone_append(channel, data.subspan(i * block_size_, block_size_), zone(0))).value;
    }
    channel.close();
  };
  {
    std::jthread other([&] {
      Thread thread = Thread::attach("other");
      const auto theirs = run(append_half(1));
      EXPECT_TRUE(theirs) << theirs.error().what();
      thread.close();
    });
    const auto ours = run(append_half(0));
    EXPECT_TRUE(ours) << ours.error().what();
  }
  for (std::uint64_t i = 0; i < zone_capacity; ++i) {
    expect_content(blocks(place_of[i], 1), data.subspan(i * block_size_, block_size_));
  }
  EXPECT_EQ(info(0).state, State::full);
  std::ranges::sort(place_of);
  for (std::uint64_t i = 0; i < zone_capacity; ++i) EXPECT_EQ(place_of[i], i);
}

class ZoneMetadataTest : public ZoneTest {};

std::vector<Kind> kinds_with_separate_metadata() {
  std::vector<Kind> kinds = all_kinds();
  std::erase_if(kinds, [](const Kind& kind) { return std::string_view(kind.test_name) != "MallocSeparateMetadata"; });
  return kinds;
}

INSTANTIATE_TEST_SUITE_P(Over, ZoneMetadataTest, ::testing::ValuesIn(kinds_with_separate_metadata()),
                         [](const auto& instance) { return std::string(instance.param.test_name); });

TEST_P(ZoneMetadataTest, SeparateMetadataGoesAlong) {
  const bdev::Geometry& geometry = desc_->bdev().geometry();
  ASSERT_TRUE(geometry.metadata_size != 0 && !geometry.metadata_interleaved);
  ASSERT_TRUE(manage(0, ZoneAction::reset));
  const DmaBuf data = random_buffer(3, 9);
  const DmaBuf metadata{std::size_t{3} * geometry.metadata_size};
  fill_random(metadata, 10);
  ASSERT_TRUE(run(desc_->zone_append(channel_, data, zone(0), {.metadata = metadata})));
  const DmaBuf found = buffer(5);
  const DmaBuf found_metadata{std::size_t{5} * geometry.metadata_size};
  found_metadata.fill(std::byte{0xEE});
  ASSERT_TRUE(run(desc_->read(channel_, found, blocks(0, 5), {.metadata = found_metadata})));
  EXPECT_TRUE(equal(found_metadata.subspan(0, metadata.size()), metadata));
  EXPECT_TRUE(
      all_equal_to(found_metadata.subspan(metadata.size(), found_metadata.size() - metadata.size()), std::byte{0}));
}

TEST_P(ZoneTest, LimitsOfOpenZones) {
  channel_.close();
  block_on(desc_->close());
  ASSERT_TRUE(run(bdev::delete_zone_block("Zoned")));
  make_zones({.name = "Limited",
              .base = name_,
              .zone_capacity = BlockCount{zone_capacity},
              .optimal_open_zones = 2,
              .max_open_zones = 2,
              .max_active_zones = 3});
  EXPECT_EQ(desc_->bdev().geometry().max_open_zones, 2u);
  EXPECT_EQ(desc_->bdev().geometry().max_active_zones, 3u);
  for (std::uint64_t i = 0; i < 5; ++i) ASSERT_TRUE(manage(i, ZoneAction::reset));
  ASSERT_TRUE(manage(0, ZoneAction::open));
  ASSERT_TRUE(run(desc_->zone_append(channel_, zeroes(1), zone(1))));
  ASSERT_TRUE(run(desc_->zone_append(channel_, zeroes(1), zone(2))));
  EXPECT_EQ(info(1).state, State::closed) << "which nobody opened, so that it makes room";
  EXPECT_EQ(refusal(run(desc_->zone_append(channel_, zeroes(1), zone(3)))), nvme_sc::too_many_active_zones);
  ASSERT_TRUE(manage(1, ZoneAction::finish));
  ASSERT_TRUE(manage(2, ZoneAction::open));
  EXPECT_EQ(refusal(run(desc_->zone_append(channel_, zeroes(1), zone(3)))), nvme_sc::too_many_open_zones);
}

TEST_P(ZoneTest, BadRequestsAreRefused) {
  ASSERT_TRUE(manage(0, ZoneAction::reset));
  const DmaBuf data = random_buffer(2, 11);
  EXPECT_EQ(code_of(run(desc_->zone_append(channel_, data.subspan(0, block_size_ + 1), zone(0)))), Misuse::buffer_size);
  EXPECT_EQ(code_of(run(desc_->zone_append(channel_, data, Lba{device_blocks}))), Misuse::out_of_range);
  EXPECT_EQ(code_of(run(desc_->unmap(channel_, blocks(0, 1)))), Misuse::not_supported);
  BdevDesc reader = open("Zoned", Access::read_only);
  EXPECT_EQ(code_of(run(reader.zone_management(channel_, zone(0), ZoneAction::open))), Misuse::read_only);
  EXPECT_EQ(code_of(run(reader.zone_append(channel_, data, zone(0)))), Misuse::read_only);
  std::array<ZoneInfo, 1> found{};
  EXPECT_EQ(run(reader.zone_report(channel_, zone(0), found)).value_or(0), 1u);
  block_on(reader.close());
  EXPECT_EQ(info(0).state, State::empty);
}

TEST_P(ZoneTest, RemovalUnderAppends) {
  ASSERT_TRUE(manage(0, ZoneAction::reset));
  const DmaBuf data = random_buffer(1, 12);
  std::size_t done = 0;
  auto worker = [&](std::uint64_t index) -> Task<> {
    for (;;) {
      auto appended = co_await as_result(desc_->zone_append(channel_, data, zone(index)));
      if (appended) {
        ++done;
        continue;
      }
      if (status_of(appended.error()) == nvme_sc::zone_is_full) {
        auto reset = co_await as_result(desc_->zone_management(channel_, zone(index), ZoneAction::reset));
        if (reset) continue;
        EXPECT_EQ(reset.error().code(), std::errc::no_such_device) << reset.error().what();
        co_return;
      }
      EXPECT_EQ(appended.error().code(), std::errc::no_such_device) << appended.error().what();
      co_return;
    }
  };
  auto all = [&]() -> Task<> {
    Scope scope;
    for (std::uint64_t i = 0; i < 16; ++i) scope.spawn(worker(i % 4));
    while (done < 100) co_await yield();
    // The base: what stands on it goes first.
    co_await bdev::Service::current().unregister_device(name_);
    co_await scope.join();
  };
  const auto ended = run(all());
  ASSERT_TRUE(ended) << ended.error().what();
  EXPECT_FALSE(Bdev::find("Zoned"));
}

TEST_P(ZoneTest, OptionsThatMakeNoSense) {
  channel_.close();
  block_on(desc_->close());
  const auto refused = [&](const bdev::ZoneBlockOptions& options) {
    return code_of(run(bdev::create_zone_block(options)));
  };
  EXPECT_EQ(refused({.name = "Twice", .base = "Zoned", .zone_capacity = BlockCount{16}}), std::errc::file_exists);
  EXPECT_EQ(refused({.name = "Z", .base = name_, .zone_capacity = BlockCount{16}}), std::errc::operation_not_permitted)
      << "the base is claimed";
  ASSERT_TRUE(run(bdev::delete_zone_block("Zoned")));
  EXPECT_EQ(code_of(run(bdev::delete_zone_block("Zoned"))), std::errc::no_such_device);
  EXPECT_EQ(code_of(run(bdev::delete_zone_block(name_))), std::errc::no_such_device) << "another module's";
  EXPECT_EQ(refused({.name = "Z", .base = "nothing", .zone_capacity = BlockCount{16}}), std::errc::no_such_device);
  EXPECT_EQ(refused({.name = "Z", .base = name_, .zone_capacity = BlockCount{0}}), Misuse::invalid_argument);
  EXPECT_EQ(refused({.name = "", .base = name_, .zone_capacity = BlockCount{16}}), Misuse::invalid_argument);
  for (const std::uint64_t capacity : {device_blocks + 1, std::uint64_t{1} << 63, UINT64_MAX}) {
    EXPECT_EQ(refused({.name = "Z", .base = name_, .zone_capacity = BlockCount{capacity}}), Misuse::invalid_argument);
  }
  EXPECT_EQ(refused({.name = "Z", .base = name_, .zone_capacity = BlockCount{16}, .optimal_open_zones = 0}),
            Misuse::invalid_argument);
  EXPECT_EQ(
      refused(
          {.name = "Z", .base = name_, .zone_capacity = BlockCount{16}, .max_open_zones = 3, .max_active_zones = 2}),
      Misuse::invalid_argument);
  // After all that the base is free again, and the largest zone there can be is the whole of it.
  make_zones({.name = "Zoned", .base = name_, .zone_capacity = BlockCount{device_blocks}});
  EXPECT_EQ(desc_->bdev().geometry().zone_size_blocks, device_blocks);
}

}  // namespace
}  // namespace spdkio::conformance
