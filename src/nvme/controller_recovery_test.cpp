#include <spdkio/nvme/controller.hpp>

#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/for_each_concurrent.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/runtime/with_timeout.hpp>
#include <spdkio/spec/nvm_command.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "nvme/test_support.hpp"
#include "nvme/test_target.hpp"

namespace spdkio::nvme {
namespace {

using test::equal;
using test::FakeConnection;
using test::FakeTarget;
using test::FakeTargetOptions;
using test::fill_random;
using namespace std::chrono_literals;

class RecoveryTest : public test::NvmeTest {
 protected:
  static ControllerOptions reconnecting_often() {
    ControllerOptions options;
    options.reconnect.initial_delay = 5ms;
    options.reconnect.max_delay = 20ms;
    return options;
  }
  static Task<Result<void>> read_block(Qpair& qpair, Namespace ns) {
    DmaBuf data(512);
    auto reading = ns.read(qpair, data, {Lba{0}, BlockCount{1}});
    co_return co_await as_result(reading);
  }
  /// The target goes away for as long as it is not told to accept connections.
  static void take_away(FakeTarget& target) {
    target.set_accepting(false);
    target.drop_connections();
  }
};

TEST_F(RecoveryTest, KeepAliveRunsByItself) {
  FakeTarget target;
  ControllerOptions options;
  options.keep_alive = 600ms;
  with_controller(target, options, [&](Controller&, Qpair&, Namespace) -> Task<> {
    while (target.keep_alives < 3) co_await sleep_for(10ms);
  });
}

TEST_F(RecoveryTest, SilenceIsFoundByKeepAliveAndEndsInAReconnect) {
  FakeTarget target;
  ControllerOptions options;
  options.keep_alive = 200ms;
  options.reconnect.initial_delay = 10ms;
  std::atomic<bool> silent{true};
  target.set_hook([&](FakeConnection& connection, const spec::Command& command) {
    if (command.opcode != spec::raw(spec::AdminOpcode::keep_alive) || !silent.exchange(false)) return false;
    connection.fall_silent();
    return true;
  });
  with_controller(target, options, [&](Controller& controller, Qpair& qpair, Namespace ns) -> Task<> {
    while (controller.connections() < 2) co_await sleep_for(10ms);
    DmaBuf data(512);
    auto reading = ns.read(qpair, data, {Lba{5}, BlockCount{1}});
    co_await reading;
  });
}

TEST_F(RecoveryTest, ReadsWaitForTheConnectionToComeBack) {
  FakeTarget target;
  ControllerOptions options;
  options.reconnect.initial_delay = 10ms;
  options.reconnect.max_delay = 20ms;
  with_controller(target, options, [&](Controller& controller, Qpair& qpair, Namespace ns) -> Task<> {
    DmaBuf written(512 * 33);
    fill_random(written, 3);
    auto writing = ns.write(qpair, written, {Lba{5}, BlockCount{33}});
    co_await writing;
    std::atomic<int> left{3};
    target.set_hook([&](FakeConnection& connection, const spec::Command& command) {
      if (connection.qid() == 0 || command.opcode != spec::raw(spec::NvmOpcode::read)) return false;
      if (left.fetch_sub(1) <= 0) return false;
      target.drop_connections();
      return true;
    });
    DmaBuf read(written.size());
    auto reading = ns.read(qpair, read, {Lba{5}, BlockCount{33}});
    co_await reading;
    EXPECT_TRUE(equal(written, read));
    EXPECT_GE(controller.connections(), 4u);
    auto first = controller.next_event();
    const auto event = co_await std::move(first);
    EXPECT_EQ(event->kind, ControllerEvent::Kind::disconnected);
    auto second = controller.next_event();
    const auto back = co_await std::move(second);
    EXPECT_EQ(back->kind, ControllerEvent::Kind::reconnected);
    target.set_hook({});
  });
}

TEST_F(RecoveryTest, CommandsThatMayNotBeRepeatedSaySo) {
  FakeTarget target;
  ControllerOptions options;
  options.reconnect.initial_delay = 10ms;
  with_controller(target, options, [&](Controller& controller, Qpair& qpair, Namespace) -> Task<> {
    target.set_hook([&](FakeConnection& connection, const spec::Command&) {
      if (connection.qid() != 1) return false;
      connection.hang_up();
      return true;
    });
    DmaBuf data(512);
    auto raw = qpair.execute(spec::nvm::read(1, {Lba{0}, BlockCount{1}}), data);
    const auto done = co_await as_result(raw);
    EXPECT_FALSE(done);
    if (!done) {
      EXPECT_EQ(done.error().outcome(), Outcome::may_have_executed) << done.error().what();
    }
    while (controller.connections() < 2) co_await sleep_for(1ms);
    target.set_hook({});
  });
}

TEST_F(RecoveryTest, GivesUpAfterItsTime) {
  FakeTarget target;
  ControllerOptions options = reconnecting_often();
  options.reconnect.give_up_after = 150ms;
  with_controller(target, options, [&](Controller& controller, Qpair& qpair, Namespace ns) -> Task<> {
    take_away(target);
    auto reading = read_block(qpair, ns);
    const auto read = co_await std::move(reading);
    EXPECT_FALSE(read);
    EXPECT_EQ(controller.state(), ControllerState::failed);
    auto again = read_block(qpair, ns);
    const auto refused = co_await std::move(again);
    EXPECT_FALSE(refused);
    auto smart = controller.smart_log();
    EXPECT_FALSE(co_await as_result(std::move(smart)));
  });
}

TEST_F(RecoveryTest, IoFailsFastWhileReconnecting) {
  FakeTarget target;
  ControllerOptions options = reconnecting_often();
  options.reconnect.fail_io_after = 50ms;
  with_controller(target, options, [&](Controller& controller, Qpair& qpair, Namespace ns) -> Task<> {
    take_away(target);
    auto reading = read_block(qpair, ns);
    const auto read = co_await std::move(reading);
    EXPECT_FALSE(read);
    if (!read) {
      EXPECT_EQ(read.error().code(), std::errc::not_connected) << read.error().what();
    }
    EXPECT_EQ(controller.state(), ControllerState::reconnecting);
    target.set_accepting(true);
    while (controller.state() != ControllerState::ready) co_await sleep_for(5ms);
    auto again = read_block(qpair, ns);
    const auto after = co_await std::move(again);
    EXPECT_TRUE(after);
  });
}

TEST_F(RecoveryTest, ResetKeepsQueuedRequests) {
  FakeTarget target;
  with_controller(target, {}, [&](Controller& controller, Qpair& qpair, Namespace ns) -> Task<> {
    auto resetting = controller.reset();
    co_await std::move(resetting);
    EXPECT_EQ(controller.connections(), 2u);
    auto reading = read_block(qpair, ns);
    const auto read = co_await std::move(reading);
    EXPECT_TRUE(read);
  });
}

TEST_F(RecoveryTest, OverdueCommandsAreAbortedThenTheControllerIsReset) {
  FakeTarget target;
  ControllerOptions options;
  options.io_timeout = 60ms;
  options.reconnect.initial_delay = 5ms;
  std::atomic<int> ignored{1};
  target.set_hook([&](FakeConnection& connection, const spec::Command& command) {
    return connection.qid() != 0 && command.opcode == spec::raw(spec::NvmOpcode::read) && ignored.fetch_sub(1) > 0;
  });
  with_controller(target, options, [&](Controller& controller, Qpair& qpair, Namespace ns) -> Task<> {
    auto reading = read_block(qpair, ns);
    const auto read = co_await std::move(reading);
    EXPECT_TRUE(read);
    EXPECT_EQ(controller.connections(), 2u);
  });
  EXPECT_GE(target.aborts, 1);
}

}  // namespace
}  // namespace spdkio::nvme
