#include "bdev/registry.hpp"

#include <spdkio/bdev/desc_state.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/block_on.hpp>
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/sleep.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace spdkio::bdev {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class PlainDevice final : public Device {
 public:
  explicit PlainDevice(std::string name, Geometry geometry = {.block_size = 512, .num_blocks = 100})
      : Device(std::move(name), "Plain", geometry) {}
  using Device::add_alias;
  using Device::set_uuid;
  bool supports(IoType type) const noexcept override { return type == IoType::read; }
  std::unique_ptr<Channel> make_channel() override { throw Error(std::errc::not_supported); }
};

class RegistryTest : public ::testing::Test {
 protected:
  void TearDown() override {
    block_on(registry_.unregister_all());
    thread_.close();
  }
  std::shared_ptr<DeviceState> add(std::unique_ptr<Device> device) {
    return block_on(registry_.register_device(std::move(device)));
  }
  std::shared_ptr<DeviceState> add(const std::string& name) { return add(std::make_unique<PlainDevice>(name)); }
  static Error failure_of(const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << "expected an Error";
    return Error(std::errc::state_not_recoverable);
  }

  Thread thread_ = Thread::attach("registry");
  Registry registry_;
};

TEST_F(RegistryTest, FindsByNameAndAlias) {
  auto device = std::make_unique<PlainDevice>("Disk");
  device->add_alias("other name");
  const auto state = add(std::move(device));
  EXPECT_EQ(registry_.find("Disk"), state);
  EXPECT_EQ(registry_.find("other name"), state);
  EXPECT_EQ(registry_.find("disk"), nullptr);
  EXPECT_NE(state->uuid(), Uuid{}) << "it was given one";
  block_on(registry_.unregister_device("other name"));
  EXPECT_EQ(registry_.find("Disk"), nullptr);
  EXPECT_EQ(registry_.find("other name"), nullptr);
  EXPECT_TRUE(state->removed());
}

TEST_F(RegistryTest, ATakenNameLeavesNothingBehind) {
  add("A");
  auto device = std::make_unique<PlainDevice>("B");
  device->add_alias("C");
  device->add_alias("A");
  const Error error = failure_of([&] { add(std::move(device)); });
  EXPECT_EQ(error.code(), std::errc::file_exists);
  EXPECT_EQ(error.device(), "A");
  EXPECT_EQ(registry_.list().size(), 1u);
  add("B");
  add("C");
  EXPECT_EQ(registry_.list().size(), 3u);
}

TEST_F(RegistryTest, ImpossibleGeometryIsRefusedByName) {
  const auto refusal = [&](Geometry geometry) {
    const Error error = failure_of([&] { add(std::make_unique<PlainDevice>("Disk", geometry)); });
    EXPECT_EQ(error.code(), Misuse::invalid_argument);
    return std::string(error.what());
  };
  EXPECT_THAT(refusal({.block_size = 0, .num_blocks = 1}), HasSubstr("block_size"));
  EXPECT_THAT(refusal({.block_size = 8, .num_blocks = 1, .metadata_size = 16, .metadata_interleaved = true}),
              HasSubstr("block_size"));
  EXPECT_THAT(refusal({.block_size = 512, .num_blocks = 0}), HasSubstr("num_blocks"));
  EXPECT_THAT(refusal({.block_size = 512, .num_blocks = UINT64_MAX}), HasSubstr("64 bits"));
  EXPECT_THAT(refusal({.block_size = 512, .num_blocks = 1, .buffer_alignment = 3}), HasSubstr("buffer_alignment"));
  EXPECT_TRUE(registry_.list().empty());
}

TEST_F(RegistryTest, WaitsForADevice) {
  auto body = [&]() -> Task<> {
    std::shared_ptr<DeviceState> found;
    auto wait = [&]() -> Task<> { found = co_await registry_.wait_for("Late", 1h); };
    Scope scope;
    scope.spawn(wait());
    co_await yield();
    EXPECT_EQ(found, nullptr);
    co_await registry_.register_device(std::make_unique<PlainDevice>("Late"));
    co_await scope.join();
    EXPECT_NE(found, nullptr);
    auto too_long = registry_.wait_for("Never", 1ms);
    const auto result = co_await as_result(std::move(too_long));
    EXPECT_FALSE(result);
    if (!result) {
      EXPECT_EQ(result.error().code(), std::errc::timed_out);
    }
  };
  block_on(body());
}

TEST_F(RegistryTest, RemovingWhatIsNotThere) {
  const Error error = failure_of([&] { block_on(registry_.unregister_device("Nothing")); });
  EXPECT_EQ(error.code(), std::errc::no_such_device);
  EXPECT_EQ(error.device(), "Nothing");
}

TEST_F(RegistryTest, EventsArriveInOrderAndEndWithTheDescriptor) {
  const auto state = add("Disk");
  const auto desc = std::make_shared<DescState>(state, Access::read_only);
  registry_.notify_resize("Disk", BlockCount{200});
  registry_.notify_resize("Disk", BlockCount{300});
  block_on(registry_.unregister_device("Disk"));
  EXPECT_EQ(block_on(desc->next_event())->num_blocks, BlockCount{200});
  EXPECT_EQ(block_on(desc->next_event())->num_blocks, BlockCount{300});
  EXPECT_EQ(block_on(desc->next_event())->type, BdevEventType::remove);
  desc->close();
  EXPECT_FALSE(block_on(desc->next_event()));
  EXPECT_EQ(failure_of([&] { desc->close(); }).code(), Misuse::already_closed);
}

TEST_F(RegistryTest, WhatIsClaimedOrRemovedIsNotOpened) {
  const auto state = add("Disk");
  const auto owner = std::make_shared<DescState>(state, Access::read_write);
  owner->claim(Claim::exclusive_write, "test", 0);
  const Error claimed = failure_of([&] { DescState(state, Access::read_write); });
  EXPECT_EQ(claimed.code(), std::errc::operation_not_permitted);
  EXPECT_EQ(claimed.operation(), "open");
  DescState(state, Access::read_only).close();
  owner->close();
  DescState(state, Access::read_write).close();
  block_on(registry_.unregister_device("Disk"));
  for (const Access access : {Access::read_only, Access::read_write}) {
    const Error removed = failure_of([&] { DescState(state, access); });
    EXPECT_EQ(removed.code(), std::errc::no_such_device);
    EXPECT_EQ(removed.device(), "Disk");
  }
}

TEST_F(RegistryTest, AliasesChangeWhileTheDeviceIsOpen) {
  const auto state = add("Disk");
  add("Other");
  const auto desc = std::make_shared<DescState>(state, Access::read_only);
  registry_.set_aliases("Disk", {"a", "b"});
  registry_.set_aliases("a", {"b", "c"});
  EXPECT_EQ(state->aliases(), (std::vector<std::string>{"b", "c"}));
  EXPECT_EQ(registry_.find("a"), nullptr);
  EXPECT_EQ(registry_.find("b"), state);
  EXPECT_EQ(registry_.find("c"), state);
  for (const char* taken : {"Other", "Disk"}) {
    const Error error = failure_of([&] { registry_.set_aliases("Disk", {"d", taken}); });
    EXPECT_EQ(error.code(), std::errc::file_exists);
    EXPECT_EQ(error.device(), taken);
  }
  EXPECT_EQ(state->aliases(), (std::vector<std::string>{"b", "c"}));
  EXPECT_EQ(registry_.find("d"), nullptr);
  EXPECT_EQ(failure_of([&] { registry_.set_aliases("Nothing", {}); }).code(), std::errc::no_such_device);
  desc->close();
  block_on(registry_.unregister_device("c"));
  EXPECT_EQ(registry_.find("b"), nullptr);
}

TEST_F(RegistryTest, ShrinkingNeedsAClosedDevice) {
  const auto state = add("Disk");
  const auto desc = std::make_shared<DescState>(state, Access::read_only);
  const Error error = failure_of([&] { registry_.notify_resize("Disk", BlockCount{50}); });
  EXPECT_EQ(error.code(), std::errc::device_or_resource_busy);
  EXPECT_EQ(state->num_blocks(), BlockCount{100});
  desc->close();
  registry_.notify_resize("Disk", BlockCount{50});
  EXPECT_EQ(state->num_blocks(), BlockCount{50});
}

}  // namespace
}  // namespace spdkio::bdev
