#include <spdkio/bdev_modules/zone_block.hpp>
#include <spdkio/spec/features.hpp>

#include <algorithm>
#include <atomic>
#include <thread>

#include "nvmf/test_fixture.hpp"

namespace spdkio::nvmf::test {
namespace {

class TargetLife : public TargetTest {
 protected:
  template <class F>
  std::error_code code_of(F fn) {
    try {
      on_home(std::move(fn));
    } catch (const Error& error) {
      return error.code();
    }
    return {};
  }
};

TEST_F(TargetLife, HostsAreToldToLeaveWhenItEnds) {
  RawHost control = admin();
  RawHost queue = io();
  on_home([&] { return target_->destroy(); });
  EXPECT_TRUE(queue.closed_by_target());
  EXPECT_TRUE(control.closed_by_target());
  EXPECT_THROW(RawHost{port_}, std::system_error);
  EXPECT_EQ(code_of([&] { return target_->connections(); }), std::errc::no_such_device);
  EXPECT_EQ(code_of([&] { return subsystem_->start(); }), std::errc::no_such_device);
  target_.reset();
}

TEST_F(TargetLife, StopDisconnectsAndStartLetsInAgain) {
  RawHost control = admin();
  on_home([&] { return subsystem_->stop(); });
  EXPECT_TRUE(control.closed_by_target());
  RawHost early(port_);
  ASSERT_TRUE(early.handshake());
  EXPECT_EQ(early.connect_queue(0, 31, 0xFFFF, subnqn).status().sc, 0x82);
  on_home([&] { return subsystem_->start(); });
  EXPECT_TRUE(early.connect_queue(0, 31, 0xFFFF, subnqn).status().ok());
  EXPECT_EQ(on_home([&] { return subsystem_->controllers(); }).size(), 1u);
}

TEST_F(TargetLife, PausedSubsystemHoldsCommandsBack) {
  RawHost control = admin();
  RawHost queue = io();
  on_home([&] { return subsystem_->pause(); });
  EXPECT_EQ(on_home([&] { return subsystem_->status(); }), SubsystemStatus::paused);
  spec::Command command = write(0, 8);
  command.flags = 0x40;
  command.set_sgl(spec::SglDescriptor::in_capsule(0, 4096));
  const Bytes data = pattern(4096, 6);
  const std::uint16_t cid = queue.submit(command, data);
  // Admin commands go on.
  EXPECT_TRUE(identify(control, spec::Cns::controller).status().ok());
  EXPECT_EQ(code_of([&] { return subsystem_->pause(); }), std::errc::invalid_argument);
  on_home([&] { return subsystem_->resume(); });
  EXPECT_TRUE(queue.wait(cid).status().ok());
  EXPECT_EQ(queue.run(read(0, 8), {}, 4096).data, data);
}

TEST_F(TargetLife, RemovalOfANamespaceWaitsForWhatIsInFlight) {
  on_home([]() -> Task<Bdev> {
    bdev::DelayOptions options;
    options.name = "D0";
    options.base = "M1";
    options.latencies.average_read = options.latencies.p99_read = 200ms;
    co_await create_malloc_named("M1", 2048, 512);
    auto creating = bdev::create_delay(options);
    co_return co_await std::move(creating);
  });
  on_home([&] { return subsystem_->add_namespace("D0"); });
  RawHost control = admin();
  RawHost queue = io();
  spec::Command command = read(0, 8, 2);
  command.flags = 0x40;
  command.set_sgl(spec::SglDescriptor::transport_data(4096));
  const std::uint16_t cid = queue.submit(command);
  while (on_home([&] { return target_->connections(); })[1].in_flight == 0) {
  }
  on_home([&] { return subsystem_->remove_namespace(2); });
  EXPECT_EQ(queue.wait(cid).data.size(), 4096u);
  EXPECT_EQ(queue.run(read(0, 8, 2), {}, 4096).status().sc, 0x0B);
  EXPECT_EQ(code_of([&] { return subsystem_->remove_namespace(2); }), std::errc::no_such_file_or_directory);
}

TEST_F(TargetLife, ConnectionsThatGoWithCommandsInFlight) {
  on_home([]() -> Task<Bdev> {
    bdev::DelayOptions options;
    options.name = "D0";
    options.base = "M1";
    options.latencies.average_read = options.latencies.p99_read = 50ms;
    co_await create_malloc_named("M1", 2048, 512);
    auto creating = bdev::create_delay(options);
    co_return co_await std::move(creating);
  });
  on_home([&] { return subsystem_->add_namespace("D0"); });
  for (int round = 0; round < 5; ++round) {
    RawHost control = admin();
    RawHost queue = io();
    spec::Command command = read(0, 8, 2);
    command.flags = 0x40;
    command.set_sgl(spec::SglDescriptor::transport_data(4096));
    for (int i = 0; i < 20; ++i) queue.submit(command);
    control.submit(spec::async_event_request_command());
    round % 2 == 0 ? control.close() : queue.close();
  }
  while (!on_home([&] { return subsystem_->controllers(); }).empty()) std::this_thread::yield();
}

TEST_F(TargetLife, OnlyHostsOnTheListConnect) {
  on_home([&] { subsystem_->allow_any_host(false); });
  const std::string friendly = "nqn.2026-11.io.spdkio:friend";
  const auto connect = [&](const std::string& hostnqn) {
    RawHost host(port_);
    EXPECT_TRUE(host.handshake());
    return host.connect_queue(0, 31, 0xFFFF, subnqn, hostnqn).status();
  };
  EXPECT_EQ(connect(friendly).sc, 0x84);
  EXPECT_EQ(connect("").sc, 0x84) << "a host without a name is on no list";
  EXPECT_EQ(connect("somebody").sc, 0x82);
  on_home([&] { subsystem_->allow_any_host(true); });
  EXPECT_TRUE(connect("").ok());
  EXPECT_EQ(connect("somebody").sc, 0x82) << "no NQN";
  on_home([&] { subsystem_->allow_any_host(false); });
  on_home([&] { subsystem_->add_host(friendly); });
  EXPECT_EQ(code_of([&] { subsystem_->add_host(friendly); }), std::errc::file_exists);
  EXPECT_TRUE(connect(friendly).ok());
  EXPECT_EQ(connect(RawHost::default_hostnqn).sc, 0x84);

  RawHost host(port_);
  ASSERT_TRUE(host.handshake());
  ASSERT_TRUE(host.connect_queue(0, 31, 0xFFFF, subnqn, friendly).status().ok());
  on_home([&] { return subsystem_->remove_host(friendly); });
  EXPECT_TRUE(host.closed_by_target());
}

TEST_F(TargetLife, AdmissionHookAndHostEvents) {
  on_home([&] {
    target_->set_admission([](const HostConnect& host) -> Task<bool> {
      if (host.hostnqn.ends_with(":throws")) throw std::runtime_error("no idea");
      co_return !host.hostnqn.ends_with(":evil");
    });
  });
  const auto connect = [&](const std::string& hostnqn) {
    RawHost host(port_);
    EXPECT_TRUE(host.handshake());
    return host.connect_queue(0, 31, 0xFFFF, subnqn, hostnqn).status();
  };
  EXPECT_EQ(connect("nqn.2026-11.io.spdkio:evil").sc, 0x84);
  EXPECT_EQ(connect("nqn.2026-11.io.spdkio:throws").sc, 0x84);
  EXPECT_TRUE(connect("nqn.2026-11.io.spdkio:good").ok());
  const auto next = [&] { return on_home([&] { return target_->next_host_event(); }); };
  EXPECT_EQ(next()->type, HostEvent::Type::refused);
  EXPECT_EQ(next()->type, HostEvent::Type::refused);
  const auto connected = next();
  EXPECT_EQ(connected->type, HostEvent::Type::connected);
  EXPECT_EQ(connected->host.hostnqn, "nqn.2026-11.io.spdkio:good");
  EXPECT_THAT(connected->host.peer, HasSubstr("127.0.0.1:"));
  EXPECT_EQ(next()->type, HostEvent::Type::disconnected);
}

TEST_F(TargetLife, SilentHostsLoseTheirController) {
  RawHost control = admin(0, subnqn, 100);
  RawHost queue = io();
  EXPECT_TRUE(control.closed_by_target());
  EXPECT_TRUE(queue.closed_by_target());
  const auto next = [&] { return on_home([&] { return target_->next_host_event(); })->type; };
  EXPECT_EQ(next(), HostEvent::Type::connected);
  EXPECT_EQ(next(), HostEvent::Type::keep_alive_expired);
  EXPECT_EQ(next(), HostEvent::Type::disconnected);
}

TEST_F(TargetLife, ConnectionsAreLimited) {
  start({.max_connections = 2});
  RawHost control = admin();
  RawHost queue = io();
  RawHost third(port_);
  EXPECT_TRUE(third.closed_by_target());
  queue.close();
  while (on_home([&] { return target_->connections(); }).size() != 1) std::this_thread::yield();
  RawHost fourth = io(2);
  EXPECT_TRUE(fourth.run(spec::nvm::flush(1)).status().ok());
}

TEST_F(TargetLife, AQueueIsOpenedAgainBeforeItsOldConnectionWasSeenToEnd) {
  RawHost control = admin();
  RawHost old = io(1);
  const auto open_again = [&] {
    RawHost host(port_);
    EXPECT_TRUE(host.handshake());
    return host.connect_queue(1, 31, cntlid_, subnqn).status();
  };
  EXPECT_EQ(open_again().sc, 0x0C) << "it is in use";
  std::thread closing([&old] {
    std::this_thread::sleep_for(20ms);
    old.close();
  });
  EXPECT_TRUE(open_again().ok());
  closing.join();
}

TEST_F(TargetLife, QueuesAreSpreadOverCores) {
  const CpuSet allowed = CpuSet::allowed();
  if (allowed.count() < 2) GTEST_SKIP() << "one CPU";
  CpuSet two;
  for (const unsigned cpu : allowed) {
    if (two.count() < 2) two.add(cpu);
  }
  start({}, two.to_list_string());
  RawHost control = admin();
  std::vector<std::unique_ptr<RawHost>> queues;
  for (std::uint16_t qid = 1; qid <= 4; ++qid) queues.push_back(std::make_unique<RawHost>(io(qid)));
  const auto groups = on_home([&] { return target_->poll_groups(); });
  ASSERT_EQ(groups.size(), 2u);
  for (const PollGroupStats& group : groups) EXPECT_GE(group.current_io_qpairs, 1u);
  const Bytes data = pattern(4096, 2);
  for (std::size_t i = 0; i < queues.size(); ++i) {
    EXPECT_TRUE(queues[i]->run(write(i * 8, 8), data).status().ok());
    EXPECT_EQ(queues[(i + 1) % queues.size()]->run(read(i * 8, 8), {}, 4096).data, data);
  }
  // The controller goes, and with it queues on other threads; so does a namespace that all of them use.
  on_home([&] { return subsystem_->remove_namespace(1); });
  for (auto& queue : queues) EXPECT_EQ(queue->run(read(0, 8), {}, 4096).status().sc, 0x0B);
  control.close();
  for (auto& queue : queues) EXPECT_TRUE(queue->closed_by_target());
}

TEST_F(TargetLife, ChangesUnderLoad) {
  make_malloc("M1", 2048);
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> done{0};
  RawHost control = admin();
  RawHost queue = io();
  std::thread load([&] {
    const Bytes data = pattern(4096, 3);
    while (!stop) {
      const NvmeStatus status = queue.run(write(8, 8), data).status();
      EXPECT_TRUE(status.ok() || status.sc == 0x0B) << status.describe();
      ++done;
    }
  });
  for (int i = 0; i < 20; ++i) {
    on_home([&] { return subsystem_->pause(); });
    on_home([&] { return subsystem_->add_namespace("M1"); });
    on_home([&] { return subsystem_->resume(); });
    on_home([&] { return subsystem_->remove_namespace(2); });
    on_home([&] { return subsystem_->remove_namespace(1); });
    on_home([&] { return subsystem_->add_namespace("M0"); });
  }
  const std::uint64_t before = done;
  while (done < before + 10) std::this_thread::yield();
  stop = true;
  load.join();
}

TEST_F(TargetLife, ZonedDevicesAreNoNamespaces) {
  make_malloc("Base", 1024);
  on_home([]() -> Task<Bdev> {
    const bdev::ZoneBlockOptions options{.name = "Zoned", .base = "Base", .zone_capacity = BlockCount{128}};
    auto creating = bdev::create_zone_block(options);
    co_return co_await std::move(creating);
  });
  EXPECT_EQ(code_of([&] { return subsystem_->add_namespace("Zoned"); }), Misuse::invalid_argument);
}

TEST_F(TargetLife, MistakesOfItsOwner) {
  EXPECT_EQ(code_of([&] { return target_->create_subsystem(subnqn); }), std::errc::file_exists);
  EXPECT_EQ(code_of([&] { return target_->create_subsystem("disk0"); }), Misuse::invalid_argument);
  EXPECT_EQ(code_of([&] { return subsystem_->add_namespace("none"); }), std::errc::no_such_device);
  try {
    on_home([&] { return subsystem_->add_namespace("none"); });
  } catch (const Error& error) {
    EXPECT_EQ(std::ranges::count(error.context(), std::string("adding none to subsystem ") + subnqn), 1);
  }
  NamespaceOptions taken;
  taken.nsid = 1;
  EXPECT_EQ(code_of([&] { return subsystem_->add_namespace("M0", taken); }), std::errc::file_exists);
  taken.nsid = 33;
  EXPECT_EQ(code_of([&] { return subsystem_->add_namespace("M0", taken); }), std::errc::no_space_on_device);
  EXPECT_EQ(code_of([&] { return subsystem_->add_listener(listener_); }), std::errc::file_exists);
  const auto far = nvme::TransportId::rdma("127.0.0.1", 4420);
  EXPECT_EQ(code_of([&] { return subsystem_->add_listener(far); }), Misuse::not_supported);
  const auto nowhere = nvme::TransportId::tcp("192.0.2.1", 0);
  EXPECT_EQ(code_of([&] { return subsystem_->add_listener(nowhere); }), std::errc::address_not_available);
  EXPECT_EQ(code_of([&] { return subsystem_->remove_listener(nowhere); }), std::errc::no_such_file_or_directory);
  EXPECT_EQ(code_of([&] { return target_->add_transport(Transport::tcp()); }), std::errc::file_exists);
  EXPECT_EQ(code_of([] {
              TargetOptions options;
              options.provider = Provider::library;
              return Target::create(options);
            }),
            std::errc::file_exists);
  EXPECT_THROW(target_->subsystems(), Error);  // not its Thread
}

TEST_F(TargetLife, RemovedListenerDisconnectsItsHosts) {
  const nvme::TransportId any = nvme::TransportId::tcp("127.0.0.1", 0);
  const nvme::TransportId second = on_home([&] { return subsystem_->add_listener(any); });
  RawHost control = admin();
  RawHost other(second.port());
  ASSERT_TRUE(other.handshake());
  ASSERT_TRUE(other.connect_queue(0, 31, 0xFFFF, subnqn).status().ok());
  on_home([&] { return subsystem_->remove_listener(second); });
  EXPECT_TRUE(other.closed_by_target());
  EXPECT_THROW(RawHost{second.port()}, std::system_error);
  EXPECT_TRUE(identify(control, spec::Cns::controller).status().ok());
}

}  // namespace
}  // namespace spdkio::nvmf::test
