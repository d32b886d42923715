// SPDK's own NVMe-oF target behind nvmf::Target, in this process, with SPDK's initiator on the other side of TCP.
#include <spdkio/app/app.hpp>
#include <spdkio/bdev/service.hpp>
#include <spdkio/nvme/discover.hpp>
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/runtime/with_timeout.hpp>
#include <spdkio/spec/fabrics.hpp>

#include <algorithm>
#include <thread>

#include "../nvme/target_fixture.hpp"
#include "app/app_test_support.hpp"
#include "spdk_fixture.hpp"

namespace spdkio::spdk_test {
namespace {

using namespace std::chrono_literals;
using nvmf::Provider;

constexpr const char* subnqn = "nqn.2026-11.io.spdkio:spdks-target";
constexpr const char* some_host = "nqn.2026-11.io.spdkio:some-host";

class SpdkTargetTest : public nvme_test::TargetTest {
 protected:
  void SetUp() override {
    start_home("spdk-target");
    ASSERT_EQ(env_->engine().name(), "spdk") << "run it with SPDKIO_ENGINE=spdk";
    on_home([this]() -> Task<> { return start_target(subnqn, Provider::engine); });
  }
  void TearDown() override {
    on_home([this]() -> Task<> {
      if (target_) {
        auto stopping = stop_target();
        co_await std::move(stopping);
      }
      auto removing = bdev::delete_malloc("Malloc0");
      co_await as_result(std::move(removing));
    });
    end_home();
  }
  static nvme::ControllerOptions no_second_attempt() {
    nvme::ControllerOptions options;
    options.reconnect.enabled = false;
    return options;
  }
  /// The code that a Task fails with.
  template <class T>
  static Task<std::error_code> code_of(Task<T> task) {
    const auto result = co_await as_result(std::move(task));
    co_return result ? std::error_code{} : result.error().code();
  }
  template <class F>
  static std::error_code code_thrown_by(F fn) {
    try {
      fn();
    } catch (const Error& error) {
      return error.code();
    }
    return {};
  }
};

TEST_F(SpdkTargetTest, IsOneOfSpdks) {
  on_home([&]() -> Task<> {
    auto asking = call_spdk("nvmf_get_targets", Json());
    const Json targets = co_await std::move(asking);
    EXPECT_NE(std::ranges::find(targets, Json("spdkio:nvmf_tgt")), targets.end()) << targets.dump();
    Json named;
    named["tgt_name"] = "spdkio:nvmf_tgt";
    auto describing = call_spdk("nvmf_get_subsystems", named);
    const Json subsystems = co_await std::move(describing);
    const auto found = std::ranges::find_if(subsystems, [](const Json& each) { return each["nqn"] == subnqn; });
    EXPECT_NE(found, subsystems.end()) << subsystems.dump();
    if (found == subsystems.end()) co_return;
    EXPECT_EQ((*found)["listen_addresses"][0]["trsvcid"], address_.trsvcid);
    EXPECT_EQ((*found)["namespaces"][0]["bdev_name"], "Malloc0");
    EXPECT_EQ((*found)["namespaces"][0]["uuid"], subsystem_->namespaces()[0].uuid.to_string());
    EXPECT_EQ((*found)["allow_any_host"], true);
    EXPECT_EQ(subsystem_->status(), nvmf::SubsystemStatus::active);
    EXPECT_EQ(target_->subsystems().size(), 2u);
    EXPECT_TRUE(target_->discovery().is_discovery());
    EXPECT_TRUE(target_->has_transport(nvme::TransportType::tcp));
    EXPECT_EQ(subsystem_->namespaces()[0].num_blocks, nvme_test::target_disk_blocks);
  });
}

TEST_F(SpdkTargetTest, CarriesWhatIsWrittenAndRead) {
  constexpr std::size_t depth = 64;
  const DmaBuf data{depth * 4096};
  const DmaBuf found{depth * 4096};
  nvme_test::fill_random(data, 7);
  with_controller({}, [&](nvme::Controller& controller, nvme::Qpair& qpair, nvme::Namespace ns) -> Task<> {
    EXPECT_EQ(controller.identify()->sn.to_string(), "00000000000000000000");
    auto one = [&](std::size_t i) -> Task<> {
      const LbaRange where{Lba{i * 8}, BlockCount{8}};
      auto writing = ns.write(qpair, data.subspan(i * 4096, 4096), where);
      co_await writing;
      auto reading = ns.read(qpair, found.subspan(i * 4096, 4096), where);
      co_await reading;
    };
    Scope scope;
    for (std::size_t i = 0; i < depth; ++i) scope.spawn(one(i));
    co_await scope.join();
    auto asking = target_->poll_groups();
    const auto groups = co_await std::move(asking);
    EXPECT_FALSE(groups.empty());
    std::uint64_t completed = 0;
    std::uint32_t queues = 0;
    for (const auto& group : groups) {
      completed += group.completed_nvme_io;
      queues += group.current_io_qpairs;
    }
    EXPECT_GE(completed, 2 * depth);
    EXPECT_EQ(queues, 1u);
  });
  EXPECT_TRUE(nvme_test::equal(data, found));
  // The device of this library holds what came over the wire through SPDK's target.
  on_home([&]() -> Task<> {
    auto opening = BdevDesc::open("Malloc0", Access::read_only);
    BdevDesc disk = co_await std::move(opening);
    {
      IoChannel channel = disk.io_channel();
      const DmaBuf again{depth * 4096};
      auto reading = disk.read(channel, again, LbaRange{Lba{0}, BlockCount{depth * 8}});
      co_await reading;
      EXPECT_TRUE(nvme_test::equal(data, again));
    }
    auto closing = disk.close();
    co_await std::move(closing);
  });
}

TEST_F(SpdkTargetTest, NamespacesOfSpdksDevicesComeAndGo) {
  with_controller({}, [&](nvme::Controller& controller, nvme::Qpair& qpair, nvme::Namespace) -> Task<> {
    Json disk;
    disk["name"] = "Disk";
    disk["num_blocks"] = 2048;
    disk["block_size"] = 512;
    auto making = call_spdk("bdev_malloc_create", disk);
    co_await std::move(making);
    nvmf::NamespaceOptions options;
    options.nsid = 7;
    auto showing = subsystem_->add_namespace("Disk", options);
    const std::uint32_t nsid = co_await std::move(showing);
    EXPECT_EQ(nsid, 7u);
    auto pausing = code_of(subsystem_->pause());
    EXPECT_EQ(co_await std::move(pausing), Misuse::not_supported) << "it could not keep both of them quiet";
    auto waiting = with_timeout(10s, controller.next_event());
    const auto added = co_await std::move(waiting);
    EXPECT_EQ(added->kind, nvme::ControllerEvent::Kind::namespace_added);
    EXPECT_EQ(added->nsid, 7u);
    const DmaBuf data{4096};
    nvme_test::fill_random(data, 3);
    auto writing = controller.ns(7).write(qpair, data, LbaRange{Lba{0}, BlockCount{8}});
    co_await writing;

    auto again = code_of(subsystem_->add_namespace("Disk", options));
    EXPECT_EQ(co_await std::move(again), std::errc::file_exists);
    auto unknown = code_of(subsystem_->add_namespace("Nowhere"));
    EXPECT_EQ(co_await std::move(unknown), std::errc::no_such_device);
    nvmf::NamespaceOptions too_high;
    too_high.nsid = 33;
    auto beyond = code_of(subsystem_->add_namespace("Disk", too_high));
    EXPECT_EQ(co_await std::move(beyond), std::errc::no_space_on_device);
    // SPDK gives a device to one namespace.
    auto twice = subsystem_->add_namespace("Disk");
    const auto refused = co_await as_result(std::move(twice));
    EXPECT_FALSE(refused);
    if (!refused) {
      EXPECT_EQ(refused.error().code(), std::errc::operation_not_permitted) << refused.error().what();
    }

    auto hiding = subsystem_->remove_namespace(7);
    co_await std::move(hiding);
    auto waiting_again = with_timeout(10s, controller.next_event());
    const auto removed = co_await std::move(waiting_again);
    EXPECT_EQ(removed->kind, nvme::ControllerEvent::Kind::namespace_removed);
    EXPECT_EQ(removed->nsid, 7u);
    auto gone = code_of(subsystem_->remove_namespace(7));
    EXPECT_EQ(co_await std::move(gone), std::errc::no_such_file_or_directory);

    // And with its device.
    auto showing_again = subsystem_->add_namespace("Disk", options);
    co_await std::move(showing_again);
    auto waiting_third = with_timeout(10s, controller.next_event());
    co_await std::move(waiting_third);
    Json named;
    named["name"] = "Disk";
    auto deleting = call_spdk("bdev_malloc_delete", named);
    co_await std::move(deleting);
    auto waiting_last = with_timeout(10s, controller.next_event());
    const auto lost = co_await std::move(waiting_last);
    EXPECT_EQ(lost->kind, nvme::ControllerEvent::Kind::namespace_removed);
    while (subsystem_->namespaces().size() != 1) co_await sleep_for(1ms);
  });
}

TEST_F(SpdkTargetTest, OnlyHostsOfTheListConnect) {
  on_home([&]() -> Task<> {
    subsystem_->allow_any_host(false);
    nvme::ControllerOptions options = no_second_attempt();
    options.host_nqn = some_host;
    auto connecting = nvme::Controller::connect(address_, options);
    const auto refused = co_await as_result(std::move(connecting));
    EXPECT_FALSE(refused);
    if (refused) co_return;
    const auto status = refused.error().nvme_status();
    EXPECT_TRUE(status) << refused.error().what();
    if (status) {
      EXPECT_EQ(status->sc, spec::fabrics::sc::invalid_host.sc) << refused.error().what();
    }
    subsystem_->add_host(some_host);
    EXPECT_EQ(code_thrown_by([&] { subsystem_->add_host(some_host); }), std::errc::file_exists);
    EXPECT_EQ(code_thrown_by([&] { subsystem_->add_host("no nqn"); }), Misuse::invalid_argument);
    EXPECT_EQ(subsystem_->hosts(), std::vector<std::string>{some_host});
    auto connecting_again = nvme::Controller::connect(address_, options);
    nvme::Controller controller = co_await std::move(connecting_again);
    EXPECT_EQ(controller.state(), nvme::ControllerState::ready);
    auto removing = subsystem_->remove_host(some_host);
    co_await std::move(removing);
    while (controller.state() == nvme::ControllerState::ready) co_await sleep_for(1ms);
    auto removing_again = code_of(subsystem_->remove_host(some_host));
    EXPECT_EQ(co_await std::move(removing_again), std::errc::no_such_file_or_directory);
    auto detaching = controller.detach();
    co_await std::move(detaching);
    subsystem_->allow_any_host(true);
    auto third = nvme::Controller::connect(address_, options);
    nvme::Controller allowed = co_await std::move(third);
    auto disconnecting = subsystem_->disconnect_host(some_host);
    co_await std::move(disconnecting);
    while (allowed.state() == nvme::ControllerState::ready) co_await sleep_for(1ms);
    auto detaching_again = allowed.detach();
    co_await std::move(detaching_again);
  });
}

TEST_F(SpdkTargetTest, IsQuietWhilePaused) {
  with_controller({}, [&](nvme::Controller&, nvme::Qpair& qpair, nvme::Namespace ns) -> Task<> {
    bool stop = false;
    std::uint64_t rounds = 0;
    auto work = [&](std::uint64_t worker) -> Task<> {
      const DmaBuf data(4096);
      const LbaRange range{Lba{worker * 8}, BlockCount{8}};
      while (!stop) {
        auto writing = ns.write(qpair, data, range);
        co_await writing;
        ++rounds;
      }
    };
    Scope scope;
    for (std::uint64_t worker = 0; worker < 16; ++worker) scope.spawn(work(worker));
    for (int i = 0; i < 5; ++i) {
      const std::uint64_t before = rounds;
      while (rounds < before + 50) co_await sleep_for(1ms);
      auto pausing = subsystem_->pause();
      co_await std::move(pausing);
      EXPECT_EQ(subsystem_->status(), nvmf::SubsystemStatus::paused);
      const auto device = bdev::Service::current().find("Malloc0");
      auto counting = device->stats();
      const auto at_pause = co_await std::move(counting);
      const std::uint64_t ended = rounds;
      co_await sleep_for(20ms);
      EXPECT_LE(rounds, ended + 16) << "answers may have been on their way";
      auto counting_again = device->stats();
      const auto later = co_await std::move(counting_again);
      EXPECT_EQ(later[bdev::IoType::write].operations, at_pause[bdev::IoType::write].operations)
          << "the device is not quiet";
      // Changes are possible meanwhile, and leave it paused.
      auto adding = subsystem_->add_listener(nvme::TransportId::tcp("127.0.0.1", 0));
      const nvme::TransportId other = co_await std::move(adding);
      EXPECT_EQ(subsystem_->status(), nvmf::SubsystemStatus::paused);
      auto removing = subsystem_->remove_listener(other);
      co_await std::move(removing);
      auto again = code_of(subsystem_->pause());
      EXPECT_EQ(co_await std::move(again), std::errc::invalid_argument);
      auto resuming = subsystem_->resume();
      co_await std::move(resuming);
      auto not_paused = code_of(subsystem_->resume());
      EXPECT_EQ(co_await std::move(not_paused), std::errc::invalid_argument);
    }
    stop = true;
    co_await scope.join();
  });
}

TEST_F(SpdkTargetTest, StaysPausedWhenItsDeviceGoes) {
  with_controller({}, [&](nvme::Controller& controller, nvme::Qpair&, nvme::Namespace) -> Task<> {
    auto pausing = subsystem_->pause();
    co_await std::move(pausing);
    auto deleting = bdev::delete_malloc("Malloc0");
    co_await std::move(deleting);
    while (!subsystem_->namespaces().empty()) co_await sleep_for(1ms);
    EXPECT_EQ(subsystem_->status(), nvmf::SubsystemStatus::paused);
    auto resuming = subsystem_->resume();
    co_await std::move(resuming);
    auto waiting = with_timeout(10s, controller.next_event());
    const auto removed = co_await std::move(waiting);
    EXPECT_EQ(removed->kind, nvme::ControllerEvent::Kind::namespace_removed);
  });
}

TEST_F(SpdkTargetTest, IsDestroyedUnderLoad) {
  on_home([&]() -> Task<> {
    auto connecting = nvme::Controller::connect(address_, no_second_attempt());
    nvme::Controller controller = co_await std::move(connecting);
    {
      auto allocating = controller.alloc_io_qpair();
      nvme::Qpair qpair = co_await std::move(allocating);
      const nvme::Namespace ns = controller.ns(1);
      std::uint64_t rounds = 0;
      std::size_t ended = 0;
      auto work = [&](std::uint64_t worker) -> Task<> {
        const DmaBuf data(4096);
        for (;;) {
          auto writing = ns.write(qpair, data, LbaRange{Lba{worker * 8}, BlockCount{8}});
          const auto written = co_await as_result(writing);
          if (!written) break;
          ++rounds;
        }
        ++ended;
      };
      Scope scope;
      for (std::uint64_t worker = 0; worker < 32; ++worker) scope.spawn(work(worker));
      while (rounds < 100) co_await sleep_for(1ms);
      const nvmf::Subsystem handle = *subsystem_;
      auto ending = target_->destroy();
      co_await std::move(ending);
      EXPECT_EQ(code_thrown_by([&] { handle.namespaces(); }), std::errc::no_such_device);
      EXPECT_EQ(handle.status(), nvmf::SubsystemStatus::removed);
      EXPECT_EQ(nvmf::Target::find("nvmf_tgt"), nullptr);
      target_.reset();
      subsystem_.reset();
      co_await scope.join();
      EXPECT_EQ(ended, 32u);
      auto closing = qpair.close();
      co_await as_result(std::move(closing));
    }
    auto detaching = controller.detach();
    co_await std::move(detaching);
    auto deleting = bdev::delete_malloc("Malloc0");
    co_await std::move(deleting);
    // The same names again.
    auto starting = start_target(subnqn, Provider::engine);
    co_await std::move(starting);
  });
  with_controller({}, [](nvme::Controller&, nvme::Qpair& qpair, nvme::Namespace ns) -> Task<> {
    const DmaBuf data(4096);
    auto reading = ns.read(qpair, data, LbaRange{Lba{0}, BlockCount{8}});
    co_await reading;
  });
}

TEST_F(SpdkTargetTest, StopsAndStartsUnderLoad) {
  nvme::ControllerOptions options;
  options.reconnect.initial_delay = 5ms;
  options.reconnect.max_delay = 20ms;
  with_controller(options, [&](nvme::Controller&, nvme::Qpair& qpair, nvme::Namespace ns) -> Task<> {
    bool stop = false;
    std::uint64_t rounds = 0;
    auto work = [&](std::uint64_t worker) -> Task<> {
      const DmaBuf data(4096);
      while (!stop) {
        auto reading = ns.read(qpair, data, LbaRange{Lba{worker * 8}, BlockCount{8}});
        co_await reading;
        ++rounds;
      }
    };
    Scope scope;
    for (std::uint64_t worker = 0; worker < 8; ++worker) scope.spawn(work(worker));
    for (int i = 0; i < 2; ++i) {
      const std::uint64_t before = rounds;
      while (rounds < before + 50) co_await sleep_for(1ms);
      auto stopping = subsystem_->stop();
      co_await std::move(stopping);
      EXPECT_EQ(subsystem_->status(), nvmf::SubsystemStatus::inactive);
      auto starting = subsystem_->start();
      co_await std::move(starting);
    }
    stop = true;
    co_await scope.join();
  });
}

TEST_F(SpdkTargetTest, TwoOfThemAndOneOfTheLibrarys) {
  on_home([&]() -> Task<> {
    nvmf::TargetOptions named;
    named.name = "second";
    named.provider = Provider::automatic;  // the engine has one
    auto making = nvmf::Target::create(named);
    nvmf::Target second = co_await std::move(making);
    auto taken = code_of(nvmf::Target::create(named));
    EXPECT_EQ(co_await std::move(taken), std::errc::file_exists);
    auto asking = call_spdk("nvmf_get_targets", Json());
    const Json targets = co_await std::move(asking);
    EXPECT_NE(std::ranges::find(targets, Json("second")), targets.end()) << targets.dump();
    nvmf::TargetOptions ours;
    ours.name = "third";
    ours.provider = Provider::library;
    auto making_ours = nvmf::Target::create(ours);
    nvmf::Target third = co_await std::move(making_ours);

    bdev::MallocOptions disk;
    disk.num_blocks = 64;
    for (auto* const target : {&second, &third}) {
      const std::string name = target->name();
      disk.name = name;
      auto making_disk = bdev::create_malloc(disk);
      co_await std::move(making_disk);
      auto adding = target->add_transport(nvmf::Transport::tcp());
      co_await std::move(adding);
      nvmf::SubsystemOptions options;
      options.allow_any_host = true;
      options.serial_number = name;
      const std::string nqn = "nqn.2026-11.io.spdkio:" + name;
      auto creating = target->create_subsystem(nqn, options);
      const nvmf::Subsystem subsystem = co_await std::move(creating);
      auto showing = subsystem.add_namespace(name);
      co_await std::move(showing);
      auto listening = subsystem.add_listener(nvme::TransportId::tcp("127.0.0.1", 0));
      const nvme::TransportId where = co_await std::move(listening);
      auto starting = subsystem.start();
      co_await std::move(starting);
      auto connecting = nvme::Controller::connect(where);
      nvme::Controller controller = co_await std::move(connecting);
      EXPECT_EQ(controller.identify()->sn.to_string(), name);
      EXPECT_EQ(controller.ns(1).num_blocks(), BlockCount{64});
      auto detaching = controller.detach();
      co_await std::move(detaching);
    }
    auto ending = second.destroy();
    co_await std::move(ending);
    auto ending_ours = third.destroy();
    co_await std::move(ending_ours);
    for (const char* const name : {"second", "third"}) {
      auto removing = bdev::delete_malloc(name);
      co_await std::move(removing);
    }
    EXPECT_EQ(subsystem_->status(), nvmf::SubsystemStatus::active);
  });
}

TEST_F(SpdkTargetTest, SubsystemsShareAnAddressAndAreDiscovered) {
  on_home([&]() -> Task<> {
    auto creating = target_->create_subsystem("nqn.2026-11.io.spdkio:another");
    const nvmf::Subsystem another = co_await std::move(creating);
    another.allow_any_host(true);
    auto twice = code_of(target_->create_subsystem("nqn.2026-11.io.spdkio:another"));
    EXPECT_EQ(co_await std::move(twice), std::errc::file_exists);
    nvme::TransportId where = address_;
    where.subnqn.clear();
    auto listening = another.add_listener(where);
    co_await std::move(listening);
    auto listening_twice = code_of(another.add_listener(where));
    EXPECT_EQ(co_await std::move(listening_twice), std::errc::file_exists);
    auto starting = another.start();
    co_await std::move(starting);
    nvmf::Referral elsewhere;
    elsewhere.where = nvme::TransportId::tcp("192.0.2.1", 8009);
    target_->add_referral(elsewhere);
    EXPECT_EQ(code_thrown_by([&] { target_->add_referral(elsewhere); }), std::errc::file_exists);
    auto discovering = nvme::discover(where);
    const auto entries = co_await std::move(discovering);
    const auto lists = [&entries](const std::string& text) {
      return std::ranges::any_of(
          entries, [&text](const auto& each) { return each.id.subnqn == text || each.id.traddr == text; });
    };
    EXPECT_TRUE(lists(subnqn));
    EXPECT_TRUE(lists("nqn.2026-11.io.spdkio:another"));
    EXPECT_TRUE(lists("192.0.2.1"));
    target_->remove_referral(elsewhere.where);
    EXPECT_TRUE(target_->referrals().empty());
    auto removing = another.remove_listener(where);
    co_await std::move(removing);
    auto removing_twice = code_of(another.remove_listener(where));
    EXPECT_EQ(co_await std::move(removing_twice), std::errc::no_such_file_or_directory);
    auto ending = another.destroy();
    co_await std::move(ending);
    EXPECT_FALSE(target_->find_subsystem("nqn.2026-11.io.spdkio:another"));
    auto discovering_again = nvme::discover(where);
    const auto fewer = co_await std::move(discovering_again);
    EXPECT_EQ(fewer.size(), entries.size() - 2);
  });
}

TEST_F(SpdkTargetTest, WhatSpdksTargetHasNotIsNamed) {
  on_home([&]() -> Task<> {
    const auto admit = [](const nvmf::HostConnect&) -> Task<bool> { co_return true; };
    EXPECT_EQ(code_thrown_by([&] { target_->set_admission(admit); }), Misuse::not_supported);
    target_->set_admission({});
    EXPECT_EQ(code_thrown_by([&] { subsystem_->controllers(); }), Misuse::not_supported);
    EXPECT_EQ(code_thrown_by([&] { (void)target_->next_host_event(); }), Misuse::not_supported);
    EXPECT_EQ(code_thrown_by([&] { (void)target_->connections(); }), Misuse::not_supported);

    auto twice = code_of(target_->add_transport(nvmf::Transport::tcp()));
    EXPECT_EQ(co_await std::move(twice), std::errc::file_exists);
    auto far = code_of(subsystem_->add_listener(nvme::TransportId::rdma("127.0.0.1", 4420)));
    EXPECT_EQ(co_await std::move(far), Misuse::invalid_argument);
    // The kernel refuses an address of nobody's here, and the port that the target has is taken for another
    // transport's.
    auto nowhere = code_of(subsystem_->add_listener(nvme::TransportId::tcp("192.0.2.1", 0)));
    EXPECT_EQ(co_await std::move(nowhere), std::errc::address_not_available);
    auto nowhere_at_a_port = code_of(subsystem_->add_listener(nvme::TransportId::tcp("192.0.2.1", 4420)));
    EXPECT_NE(co_await std::move(nowhere_at_a_port), std::error_code{});
    EXPECT_EQ(subsystem_->listeners().size(), 1u);

    nvmf::TargetOptions named;
    named.name = "second";
    named.provider = Provider::engine;
    auto making = nvmf::Target::create(named);
    nvmf::Target second = co_await std::move(making);
    nvmf::TransportOptions options;
    options.max_connections = 5;
    const auto refused = [&](const char* name) -> Task<> {
      auto adding = second.add_transport(nvmf::Transport::tcp(options));
      const auto added = co_await as_result(std::move(adding));
      EXPECT_FALSE(added);
      if (added) co_return;
      EXPECT_EQ(added.error().code(), Misuse::not_supported);
      EXPECT_THAT(added.error().what(), HasSubstr(name));
    };
    auto connections = refused("max_connections");
    co_await std::move(connections);
    options = {};
    options.buffer_bytes *= 2;
    auto buffers = refused("buffer_bytes");
    co_await std::move(buffers);
    options = {};
    options.allow_data_digest = false;
    auto digest = refused("allow_data_digest");
    co_await std::move(digest);
    options = {};
    options.max_io_size = 5;
    auto wrong = code_of(second.add_transport(nvmf::Transport::tcp(options)));
    EXPECT_EQ(co_await std::move(wrong), Misuse::invalid_argument);
    // An SPDK with RDMA makes it: whether this one has it is for the installation to say.
    auto rdma = second.add_transport(nvmf::Transport::rdma());
    const auto with_rdma = co_await as_result(std::move(rdma));
    if (!with_rdma) {
      EXPECT_THAT(with_rdma.error().what(), HasSubstr("RDMA"));
    }
    EXPECT_FALSE(second.has_transport(nvme::TransportType::tcp));
    // Nothing of that is left behind.
    options = {};
    options.max_io_size = 65536;
    options.max_queue_depth = 64;
    auto right = second.add_transport(nvmf::Transport::tcp(options));
    co_await std::move(right);
    EXPECT_TRUE(second.has_transport(nvme::TransportType::tcp));
    auto ending = second.destroy();
    co_await std::move(ending);
  });
  EXPECT_THROW(target_->subsystems(), Error) << "not its Thread";
}

// ---- ends and beginnings

Task<nvme::TransportId> serve(std::string disk) {
  auto creating = nvmf::Target::create();
  const nvmf::Target target = co_await std::move(creating);
  auto adding = target.add_transport(nvmf::Transport::tcp());
  co_await std::move(adding);
  nvmf::SubsystemOptions options;
  options.allow_any_host = true;
  auto making = target.create_subsystem(subnqn, options);
  const nvmf::Subsystem subsystem = co_await std::move(making);
  auto showing = subsystem.add_namespace(disk);
  co_await std::move(showing);
  auto listening = subsystem.add_listener(nvme::TransportId::tcp("127.0.0.1", 0));
  const nvme::TransportId where = co_await std::move(listening);
  auto starting = subsystem.start();
  co_await std::move(starting);
  co_return where;
}

Task<> read_once(nvme::TransportId where) {
  auto connecting = nvme::Controller::connect(where);
  nvme::Controller controller = co_await std::move(connecting);
  {
    auto allocating = controller.alloc_io_qpair();
    nvme::Qpair qpair = co_await std::move(allocating);
    const DmaBuf data(4096);
    auto reading = controller.ns(1).read(qpair, data, LbaRange{Lba{0}, BlockCount{8}});
    co_await reading;
    auto closing = qpair.close();
    co_await std::move(closing);
  }
  auto detaching = controller.detach();
  co_await std::move(detaching);
}

TEST(SpdkTargetEnd, AnApplicationEndsWithOneAndStartsAgain) {
  for (int i = 0; i < 2; ++i) {
    const app::CapturedLog log;
    auto main = []() -> Task<> {
      auto serving = serve("Malloc0");
      const nvme::TransportId where = co_await std::move(serving);
      auto reading = read_once(where);
      co_await std::move(reading);
    };
    const AppOptions options{
        .name = "spdk-app", .json_data = app::malloc_config("Malloc0"), .no_pci = true, .no_huge = true};
    EXPECT_EQ(App::run(options, main), 0);
    EXPECT_THAT(log.text(), HasSubstr("was not destroyed"));
    EXPECT_THAT(log.text(), testing::Not(HasSubstr("[error]")));
    EXPECT_THAT(log.text(), testing::Not(HasSubstr("[critical]")));
  }
}

TEST(SpdkTargetEnd, AnEnvEndsWithOneAndStartsAgain) {
  for (int i = 0; i < 2; ++i) {
    const app::CapturedLog log;
    {
      Env env = Env::start({.name = "leaves-a-target", .no_pci = true, .no_huge = true, .reactors = true});
      Thread home = Thread::create("home");
      auto body = [](ThreadHandle on) -> Task<> {
        auto work = []() -> Task<> {
          bdev::MallocOptions disk;
          disk.name = "Malloc0";
          disk.num_blocks = 2048;
          auto making = bdev::create_malloc(disk);
          co_await std::move(making);
          auto serving = serve("Malloc0");
          const nvme::TransportId where = co_await std::move(serving);
          auto reading = read_once(where);
          co_await std::move(reading);
        };
        auto calling = on.call(work);
        co_await std::move(calling);
      };
      block_on(body(home.handle()));
      home.close();
      env.stop();
    }
    EXPECT_THAT(log.text(), HasSubstr("was not destroyed before the engine ends"));
    EXPECT_THAT(log.text(), testing::Not(HasSubstr("[error]")));
    EXPECT_THAT(log.text(), testing::Not(HasSubstr("[critical]")));
  }
}

TEST(SpdkTargetEnd, WithoutReactorsTheThreadOfTheTargetPolls) {
  Env env = Env::start({.name = "no-reactors", .no_pci = true, .no_huge = true});
  Thread thread = Thread::attach("alone");
  auto body = []() -> Task<> {
    bdev::MallocOptions disk;
    disk.name = "Malloc0";
    disk.num_blocks = 2048;
    auto making = bdev::create_malloc(disk);
    co_await std::move(making);
    auto serving = serve("Malloc0");
    const nvme::TransportId where = co_await std::move(serving);
    auto reading = read_once(where);
    co_await std::move(reading);
    auto ending = nvmf::destroy_all_targets();
    co_await std::move(ending);
    auto removing = bdev::delete_malloc("Malloc0");
    co_await std::move(removing);
  };
  block_on(body());
  thread.close();
  env.stop();
}

}  // namespace
}  // namespace spdkio::spdk_test
