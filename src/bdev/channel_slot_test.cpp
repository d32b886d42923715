#include <spdkio/bdev/channel_slot.hpp>

#include <spdkio/bdev/device_state.hpp>
#include <spdkio/bdev/io_channel.hpp>
#include <spdkio/runtime/block_on.hpp>
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/runtime/thread.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "bdev/registry.hpp"

namespace spdkio::bdev {
namespace {

using ::testing::ElementsAre;

/// Takes as many requests as there is room for and ends them when it is told to.
struct Control {
  std::size_t room = 0;
  std::vector<Io*> held;
  std::vector<std::uint64_t> taken;  ///< blocks, in the order in which there was room
  std::vector<std::uint64_t> aborted;
  bool removed = false;
  bool destroyed = false;

  void end_first(IoStatus status = IoStatus::success()) {
    Io* io = held.front();
    held.erase(held.begin());
    ++room;
    io->complete(status);
  }
};

class ControlledChannel final : public Channel {
 public:
  explicit ControlledChannel(Control& control) : control_(control) {}
  ~ControlledChannel() override { control_.destroyed = true; }
  void submit(Io& io) noexcept override {
    if (control_.room == 0) {
      io.complete(IoStatus::no_memory());
      return;
    }
    --control_.room;
    control_.taken.push_back(io.lba);
    control_.held.push_back(&io);
  }
  void abort(Io& io) noexcept override { control_.aborted.push_back(io.lba); }
  void device_removed() noexcept override { control_.removed = true; }

 private:
  Control& control_;
};

class ControlledDevice final : public Device {
 public:
  explicit ControlledDevice(Control& control)
      : Device("Disk", "Controlled", {.block_size = 512, .num_blocks = 1000}), control_(control) {}
  bool supports(IoType type) const noexcept override { return type == IoType::flush || type == IoType::unmap; }
  std::unique_ptr<Channel> make_channel() override { return std::make_unique<ControlledChannel>(control_); }

 private:
  Control& control_;
};

class Request final : public Io {
 public:
  explicit Request(std::uint64_t block) {
    type = IoType::unmap;
    lba = block;
    set_on_complete([](Io& io) noexcept { static_cast<Request&>(io).ended(); });
  }
  bool done = false;
  Request* submit_at_end = nullptr;
  IoChannel* close_at_end = nullptr;

 private:
  void ended() noexcept {
    done = true;
    if (close_at_end != nullptr) return close_at_end->close();
    if (submit_at_end != nullptr) slot().submit(*submit_at_end);
  }
};

class ChannelSlotTest : public ::testing::Test {
 protected:
  void SetUp() override {
    state_ = block_on(registry_.register_device(std::make_unique<ControlledDevice>(control_)));
    channel_ = IoChannel{state_->acquire_slot()};
    for (std::uint64_t block = 0; block < 8; ++block) requests_.push_back(std::make_unique<Request>(block));
  }
  void TearDown() override {
    channel_.close();
    block_on(registry_.unregister_all());
    state_ = nullptr;
    thread_.close();
  }
  ChannelSlot& slot() { return *channel_.slot(); }
  void submit(std::size_t first, std::size_t last) {
    for (std::size_t i = first; i <= last; ++i) slot().submit(*requests_[i]);
  }
  void end_all() {
    while (!control_.held.empty()) control_.end_first();
  }

  Thread thread_ = Thread::attach("slot");
  Control control_;
  Registry registry_;
  std::shared_ptr<DeviceState> state_;
  IoChannel channel_;
  std::vector<std::unique_ptr<Request>> requests_;
};

TEST_F(ChannelSlotTest, WhatFindsNoRoomFollowsInOrder) {
  control_.room = 2;
  submit(0, 5);
  EXPECT_THAT(control_.taken, ElementsAre(0, 1));
  EXPECT_EQ(slot().in_flight(), 6u);
  control_.end_first();
  EXPECT_THAT(control_.taken, ElementsAre(0, 1, 2));
  EXPECT_TRUE(requests_[0]->done);
  end_all();
  EXPECT_THAT(control_.taken, ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_EQ(slot().in_flight(), 0u);
  EXPECT_EQ(slot().stats()[IoType::unmap].operations, 6u);
}

TEST_F(ChannelSlotTest, ANewRequestGoesBehindThoseThatWait) {
  control_.room = 1;
  submit(0, 2);
  requests_[0]->submit_at_end = requests_[3].get();
  control_.end_first();
  end_all();
  EXPECT_THAT(control_.taken, ElementsAre(0, 1, 2, 3));
}

TEST_F(ChannelSlotTest, ItIsTriedAgainWhenNothingIsInFlight) {
  submit(0, 1);
  EXPECT_TRUE(control_.taken.empty());
  control_.room = 8;
  thread_.run_until([&] { return control_.taken.size() == 2; });  // by the clock
  EXPECT_THAT(control_.taken, ElementsAre(0, 1));
  end_all();
}

TEST_F(ChannelSlotTest, TheOldestStaysFirstWhenItIsRefusedAgain) {
  submit(0, 3);
  bool ticked = false;
  auto wait = [&]() -> Task<> {
    co_await sleep_for(std::chrono::milliseconds{5});  // some rounds without room
    ticked = true;
  };
  block_on(wait());
  EXPECT_TRUE(ticked);
  control_.room = 8;
  thread_.run_until([&] { return control_.taken.size() == 4; });
  EXPECT_THAT(control_.taken, ElementsAre(0, 1, 2, 3));
  end_all();
}

TEST_F(ChannelSlotTest, WhatWaitsIsAbortedHereAndTheRestInTheModule) {
  control_.room = 1;
  submit(0, 3);
  slot().abort(*requests_[2]);
  EXPECT_TRUE(requests_[2]->done);
  EXPECT_EQ(requests_[2]->status(), IoStatus::cancelled(Outcome::never_submitted));
  slot().abort(*requests_[3]);  // the last of the list
  slot().abort(*requests_[0]);
  EXPECT_FALSE(requests_[0]->done);
  EXPECT_THAT(control_.aborted, ElementsAre(0));
  submit(4, 4);
  end_all();
  EXPECT_THAT(control_.taken, ElementsAre(0, 1, 4));
}

TEST_F(ChannelSlotTest, ARemovalRefusesWhatWaitsAndAwaitsTheRest) {
  control_.room = 1;
  submit(0, 2);
  bool removed = false;
  auto remove = [&]() -> Task<> {
    co_await registry_.unregister_device("Disk");
    removed = true;
  };
  auto both = [&]() -> Task<> {
    Scope scope;
    scope.spawn(remove());
    for (int i = 0; i < 10; ++i) co_await yield();
    EXPECT_TRUE(control_.removed);
    EXPECT_FALSE(removed);
    EXPECT_EQ(requests_[1]->status(), IoStatus::system(ENODEV, Outcome::never_submitted));
    EXPECT_TRUE(requests_[2]->done);
    EXPECT_FALSE(requests_[0]->done);
    control_.end_first();
    co_await scope.join();
  };
  block_on(both());
  EXPECT_TRUE(removed);
  EXPECT_TRUE(requests_[0]->status().ok());
  submit(3, 3);
  EXPECT_EQ(requests_[3]->status(), IoStatus::system(ENODEV, Outcome::never_submitted));
}

TEST_F(ChannelSlotTest, ChannelsOfOneThreadShareIt) {
  const IoChannel second{state_->acquire_slot()};
  EXPECT_EQ(second.slot(), channel_.slot());
}

TEST_F(ChannelSlotTest, ACallbackThatClosesTheLastHandleLeavesTheModuleItsChannel) {
  control_.room = 1;
  requests_[0]->close_at_end = &channel_;
  submit(0, 0);
  end_all();
  EXPECT_TRUE(requests_[0]->done);
  EXPECT_FALSE(channel_);
  EXPECT_FALSE(control_.destroyed) << "the module may still be in the middle of something";
  thread_.poll();
  EXPECT_TRUE(control_.destroyed);
}

TEST_F(ChannelSlotTest, AChannelThatIsTakenUpAgainInTimeStays) {
  control_.room = 2;
  requests_[0]->close_at_end = &channel_;
  submit(0, 0);
  end_all();
  channel_ = IoChannel{state_->acquire_slot()};
  thread_.poll();
  EXPECT_FALSE(control_.destroyed);
  submit(1, 1);
  end_all();
  EXPECT_TRUE(requests_[1]->done);
}

}  // namespace
}  // namespace spdkio::bdev
