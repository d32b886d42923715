#include "bdev_modules/zone_block/zone_table.hpp"

#include <spdkio/bdev/zone_status.hpp>

#include <gtest/gtest.h>

#include <array>
#include <thread>
#include <vector>

namespace spdkio::bdev {
namespace {

using State = ZoneInfo::State;

constexpr std::uint64_t zone_size = 16;
constexpr std::uint64_t capacity = 12;
constexpr ZoneTable::Layout layout{.zone_size = zone_size, .capacity = capacity, .zone_count = 8};

constexpr Lba zone(std::uint64_t index) { return Lba{index * zone_size}; }
constexpr LbaRange blocks(Lba first, std::uint64_t count) { return {first, BlockCount{count}}; }

NvmeStatus status_of(IoStatus status) {
  NvmeStatus nvme = status.nvme_status();
  EXPECT_TRUE(status.ok() || nvme.dnr) << "asking again does not help";
  nvme.dnr = false;
  return nvme;
}

/// With every zone empty.
class ZoneTableTest : public ::testing::Test {
 protected:
  explicit ZoneTableTest(ZoneTable::Limits limits = {}) : zones_(layout, limits) {
    for (std::uint64_t i = 0; i < layout.zone_count; ++i) reset(i);
  }
  void reset(std::uint64_t index) {
    const auto begun = zones_.begin_reset(zone(index));
    ASSERT_TRUE(begun.status.ok());
    if (begun.written.count != BlockCount{0}) zones_.end_reset(zone(index), true);
  }
  NvmeStatus write(Lba first, std::uint64_t count) {
    const auto begun = zones_.begin_write(blocks(first, count));
    if (begun.status.ok()) {
      EXPECT_EQ(begun.first, first);
      zones_.end_write(begun.first);
    }
    return status_of(begun.status);
  }
  ZoneInfo info(std::uint64_t index) {
    std::array<ZoneInfo, 1> found;
    EXPECT_EQ(zones_.report(zone(index), found), 1u);
    EXPECT_EQ(found[0].zone, blocks(zone(index), zone_size));
    return found[0];
  }
  State state(std::uint64_t index) { return info(index).state; }
  std::uint64_t write_pointer(std::uint64_t index) { return info(index).write_pointer.value - zone(index).value; }

  ZoneTable zones_;
};

TEST(ZoneTable, AllZonesAreFullAtFirst) {
  const ZoneTable zones(layout, {});
  std::array<ZoneInfo, 10> found;
  ASSERT_EQ(zones.report(Lba{0}, found), layout.zone_count);
  for (std::uint64_t i = 0; i < layout.zone_count; ++i) {
    EXPECT_EQ(found[i].zone.first, zone(i));
    EXPECT_EQ(found[i].capacity, BlockCount{capacity});
    EXPECT_EQ(found[i].write_pointer.value, zone(i).value + capacity);
    EXPECT_EQ(found[i].state, State::full);
  }
  const auto read = zones.begin_read(blocks(zone(1), zone_size));
  EXPECT_TRUE(read.status.ok());
  EXPECT_EQ(read.written, capacity) << "what was there before can be read; what is beyond the capacity was never there";
}

TEST_F(ZoneTableTest, ReportsFromWithinAZoneAndToTheEnd) {
  std::array<ZoneInfo, 3> found;
  ASSERT_EQ(zones_.report(Lba{zone(6).value + 5}, found), 2u);
  EXPECT_EQ(found[0].zone.first, zone(6));
  EXPECT_EQ(found[1].zone.first, zone(7));
  EXPECT_EQ(zones_.report(zone(8), found), 0u);
  EXPECT_EQ(zones_.report(zone(0), {}), 0u);
}

TEST_F(ZoneTableTest, WritesGoOneAfterAnother) {
  EXPECT_EQ(write(zone(1), 4), nvme_sc::success);
  EXPECT_EQ(state(1), State::implicitly_open);
  EXPECT_EQ(write_pointer(1), 4u);
  EXPECT_EQ(write(zone(1), 1), nvme_sc::zone_invalid_write) << "behind the write pointer";
  EXPECT_EQ(write(Lba{zone(1).value + 6}, 1), nvme_sc::zone_invalid_write) << "before it";
  EXPECT_EQ(write(Lba{zone(1).value + 4}, 9), nvme_sc::zone_boundary_error) << "beyond the capacity";
  EXPECT_EQ(write(Lba{zone(1).value + 14}, 1), nvme_sc::zone_boundary_error);
  EXPECT_EQ(write(Lba{zone(1).value + 14}, 4), nvme_sc::zone_boundary_error) << "into the next zone";
  EXPECT_EQ(write_pointer(1), 4u);
  EXPECT_EQ(write(Lba{zone(1).value + 4}, 8), nvme_sc::success);
  EXPECT_EQ(state(1), State::full);
  EXPECT_EQ(write_pointer(1), capacity);
  EXPECT_EQ(write(Lba{zone(1).value + 12}, 1), nvme_sc::zone_is_full);
  EXPECT_EQ(state(0), State::empty);
  EXPECT_EQ(state(2), State::empty);
}

TEST_F(ZoneTableTest, AppendsFindTheirPlace) {
  const auto first = zones_.begin_append(zone(3), BlockCount{5});
  const auto second = zones_.begin_append(zone(3), BlockCount{5});
  ASSERT_TRUE(first.status.ok() && second.status.ok());
  EXPECT_EQ(first.first, zone(3));
  EXPECT_EQ(second.first.value, zone(3).value + 5);
  EXPECT_EQ(status_of(zones_.begin_append(zone(3), BlockCount{3}).status), nvme_sc::zone_boundary_error);
  EXPECT_EQ(status_of(zones_.begin_append(Lba{zone(3).value + 1}, BlockCount{1}).status), nvme_sc::invalid_field);
  EXPECT_EQ(status_of(zones_.begin_append(zone(8), BlockCount{1}).status), nvme_sc::invalid_field);
  EXPECT_TRUE(zones_.begin_append(zone(3), BlockCount{2}).status.ok());
  EXPECT_EQ(status_of(zones_.begin_append(zone(3), BlockCount{1}).status), nvme_sc::zone_is_full);
}

TEST_F(ZoneTableTest, ReadsStayInOneZone) {
  ASSERT_EQ(write(zone(1), 4), nvme_sc::success);
  EXPECT_EQ(zones_.begin_read(blocks(zone(1), 4)).written, 4u);
  EXPECT_EQ(zones_.begin_read(blocks(zone(1), 16)).written, 4u);
  EXPECT_EQ(zones_.begin_read(blocks(Lba{zone(1).value + 3}, 2)).written, 1u);
  EXPECT_EQ(zones_.begin_read(blocks(Lba{zone(1).value + 4}, 2)).written, 0u);
  EXPECT_EQ(status_of(zones_.begin_read(blocks(Lba{zone(1).value + 1}, 16)).status), nvme_sc::zone_boundary_error);
}

struct Transition {
  const char* name;
  IoStatus (ZoneTable::*action)(Lba) noexcept;
  /// From empty, implicitly open, explicitly open, closed, full.
  std::array<std::optional<State>, 5> to;
};

class ZoneTransitionTest : public ZoneTableTest, public ::testing::WithParamInterface<Transition> {
 protected:
  /// Zones 0 to 4 in the states of the table.
  void SetUp() override {
    ASSERT_EQ(write(zone(1), 1), nvme_sc::success);
    ASSERT_TRUE(zones_.open(zone(2)).ok());
    ASSERT_EQ(write(zone(3), 1), nvme_sc::success);
    ASSERT_TRUE(zones_.close(zone(3)).ok());
    ASSERT_EQ(write(zone(4), capacity), nvme_sc::success);
  }
};

INSTANTIATE_TEST_SUITE_P(
    By, ZoneTransitionTest,
    ::testing::Values(
        Transition{"Open",
                   &ZoneTable::open,
                   {State::explicitly_open, State::explicitly_open, State::explicitly_open, State::explicitly_open,
                    std::nullopt}},
        Transition{
            "Close", &ZoneTable::close, {std::nullopt, State::closed, State::closed, State::closed, std::nullopt}},
        Transition{"Finish", &ZoneTable::finish, {State::full, State::full, State::full, State::full, State::full}}),
    [](const auto& instance) { return std::string(instance.param.name); });

TEST_P(ZoneTransitionTest, FromEveryState) {
  constexpr std::array from{State::empty, State::implicitly_open, State::explicitly_open, State::closed, State::full};
  for (std::uint64_t i = 0; i < from.size(); ++i) {
    ASSERT_EQ(state(i), from[i]);
    const std::uint64_t pointer = write_pointer(i);
    const IoStatus status = (zones_.*GetParam().action)(zone(i));
    if (const auto to = GetParam().to[i]) {
      EXPECT_TRUE(status.ok()) << i;
      EXPECT_EQ(state(i), *to) << i;
      EXPECT_EQ(write_pointer(i), *to == State::full ? capacity : pointer) << i;
    } else {
      EXPECT_EQ(status_of(status), nvme_sc::invalid_zone_state_transition) << i;
      EXPECT_EQ(state(i), from[i]);
    }
  }
  EXPECT_EQ(status_of((zones_.*GetParam().action)(Lba{1})), nvme_sc::invalid_field) << "no zone begins there";
  EXPECT_EQ(status_of((zones_.*GetParam().action)(zone(8))), nvme_sc::invalid_field);
}

TEST_F(ZoneTableTest, AClosedZoneIsOpenedByAWrite) {
  ASSERT_EQ(write(zone(0), 2), nvme_sc::success);
  ASSERT_TRUE(zones_.close(zone(0)).ok());
  EXPECT_EQ(write(Lba{2}, 2), nvme_sc::success);
  EXPECT_EQ(state(0), State::implicitly_open);
}

TEST_F(ZoneTableTest, AnOpenedZoneStaysOpenedByWrites) {
  ASSERT_TRUE(zones_.open(zone(0)).ok());
  EXPECT_EQ(write(zone(0), 2), nvme_sc::success);
  EXPECT_EQ(state(0), State::explicitly_open);
}

TEST_F(ZoneTableTest, FinishedZonesHoldWhatWasWritten) {
  ASSERT_EQ(write(zone(0), 2), nvme_sc::success);
  ASSERT_TRUE(zones_.finish(zone(0)).ok());
  EXPECT_EQ(zones_.begin_read(blocks(zone(0), capacity)).written, 2u);
  const auto reset = zones_.begin_reset(zone(0));
  EXPECT_EQ(reset.written, blocks(zone(0), 2));
  zones_.end_reset(zone(0), true);
  EXPECT_EQ(state(0), State::empty);
}

TEST_F(ZoneTableTest, AResetWaitsForWrites) {
  const auto write = zones_.begin_append(zone(0), BlockCount{1});
  ASSERT_TRUE(write.status.ok());
  EXPECT_TRUE(zones_.begin_reset(zone(0)).status.is_no_memory()) << "comes again";
  EXPECT_EQ(state(0), State::implicitly_open);
  zones_.end_write(write.first);
  EXPECT_TRUE(zones_.begin_reset(zone(0)).status.ok());
}

TEST_F(ZoneTableTest, EverythingElseWaitsForAReset) {
  ASSERT_EQ(write(zone(0), 3), nvme_sc::success);
  ASSERT_TRUE(zones_.begin_reset(zone(0)).status.ok());
  EXPECT_TRUE(zones_.begin_write(blocks(Lba{3}, 1)).status.is_no_memory());
  EXPECT_TRUE(zones_.begin_append(zone(0), BlockCount{1}).status.is_no_memory());
  EXPECT_TRUE(zones_.begin_reset(zone(0)).status.is_no_memory());
  EXPECT_TRUE(zones_.open(zone(0)).is_no_memory());
  EXPECT_TRUE(zones_.close(zone(0)).is_no_memory());
  EXPECT_TRUE(zones_.finish(zone(0)).is_no_memory());
  EXPECT_EQ(write(zone(1), 1), nvme_sc::success) << "not other zones";
  zones_.end_reset(zone(0), true);
  EXPECT_EQ(write(zone(0), 1), nvme_sc::success);
}

TEST_F(ZoneTableTest, AFailedResetChangesNothing) {
  ASSERT_EQ(write(zone(0), 3), nvme_sc::success);
  ASSERT_TRUE(zones_.begin_reset(zone(0)).status.ok());
  zones_.end_reset(zone(0), false);
  EXPECT_EQ(state(0), State::implicitly_open);
  EXPECT_EQ(write(Lba{3}, 1), nvme_sc::success);
}

TEST_F(ZoneTableTest, AResetOfAnEmptyZoneIsDoneAtOnce) {
  const auto reset = zones_.begin_reset(zone(0));
  EXPECT_TRUE(reset.status.ok());
  EXPECT_EQ(reset.written.count, BlockCount{0});
  EXPECT_EQ(write(zone(0), 1), nvme_sc::success);
  EXPECT_EQ(status_of(zones_.begin_reset(Lba{1}).status), nvme_sc::invalid_field);
}

class LimitedZoneTableTest : public ZoneTableTest {
 protected:
  LimitedZoneTableTest() : ZoneTableTest({.open = 2, .active = 3}) {}
};

TEST_F(LimitedZoneTableTest, WritesCloseTheZoneThatWasOpenedFirst) {
  ASSERT_EQ(write(zone(0), 1), nvme_sc::success);
  ASSERT_EQ(write(zone(1), 1), nvme_sc::success);
  ASSERT_EQ(write(zone(2), 1), nvme_sc::success);
  EXPECT_EQ(state(0), State::closed);
  EXPECT_EQ(state(1), State::implicitly_open);
  EXPECT_EQ(state(2), State::implicitly_open);
  EXPECT_EQ(write(zone(3), 1), nvme_sc::too_many_active_zones);
  EXPECT_EQ(state(3), State::empty);
  EXPECT_EQ(write_pointer(3), 0u);
  ASSERT_EQ(write(Lba{1}, 1), nvme_sc::success) << "it is active already";
  EXPECT_EQ(state(1), State::closed);
}

TEST_F(LimitedZoneTableTest, ZonesThatSomebodyOpenedAreNotClosed) {
  ASSERT_TRUE(zones_.open(zone(0)).ok());
  ASSERT_TRUE(zones_.open(zone(1)).ok());
  EXPECT_EQ(write(zone(2), 1), nvme_sc::too_many_open_zones);
  EXPECT_EQ(status_of(zones_.open(zone(2))), nvme_sc::too_many_open_zones);
  EXPECT_TRUE(zones_.open(zone(0)).ok()) << "it is open already";
  ASSERT_TRUE(zones_.close(zone(0)).ok());
  EXPECT_EQ(write(zone(2), 1), nvme_sc::success);
}

TEST_F(LimitedZoneTableTest, FullAndEmptyZonesDoNotCount) {
  for (std::uint64_t i = 0; i < 5; ++i) EXPECT_EQ(write(zone(i), capacity), nvme_sc::success) << i;
  ASSERT_TRUE(zones_.open(zone(5)).ok());
  ASSERT_TRUE(zones_.open(zone(6)).ok());
  EXPECT_EQ(status_of(zones_.open(zone(7))), nvme_sc::too_many_open_zones);
  ASSERT_TRUE(zones_.finish(zone(5)).ok());
  EXPECT_TRUE(zones_.open(zone(7)).ok());
  reset(6);
  ASSERT_TRUE(zones_.close(zone(7)).ok());
  reset(0);
  EXPECT_TRUE(zones_.open(zone(0)).ok());
  EXPECT_TRUE(zones_.open(zone(6)).ok());
  reset(1);
  EXPECT_EQ(status_of(zones_.open(zone(1))), nvme_sc::too_many_active_zones);
}

/// Appends of several OS threads: every block is given out once, and the zones end up full.
TEST_F(LimitedZoneTableTest, ThreadsMeetInTheSameZones) {
  constexpr int rounds = 200;
  std::vector<std::atomic<int>> given(layout.zone_count * zone_size);
  for (int round = 0; round < rounds; ++round) {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (std::uint64_t i = 0; i < layout.zone_count; ++i) {
          for (;;) {
            const auto append = zones_.begin_append(zone(i), BlockCount{1});
            if (append.status.ok()) {
              given[append.first.value].fetch_add(1);
              zones_.end_write(append.first);
            } else if (status_of(append.status) == nvme_sc::zone_is_full) {
              break;
            }
          }
        }
      });
    }
    threads.clear();
    for (std::uint64_t i = 0; i < layout.zone_count; ++i) {
      ASSERT_EQ(state(i), State::full);
      reset(i);
    }
  }
  for (std::uint64_t at = 0; at < given.size(); ++at) {
    ASSERT_EQ(given[at].load(), at % zone_size < capacity ? rounds : 0) << at;
  }
}

}  // namespace
}  // namespace spdkio::bdev
