// Initiator and target of this library in one process, over TCP on the loopback interface, on the same reactor and on
// two; and the namespaces as bdevs again.
#include <spdkio/app/env.hpp>
#include <spdkio/base/base64.hpp>
#include <spdkio/bdev/bdev.hpp>
#include <spdkio/bdev/bdev_desc.hpp>
#include <spdkio/bdev/service.hpp>
#include <spdkio/bdev_modules/malloc.hpp>
#include <spdkio/bdev_modules/nvme.hpp>
#include <spdkio/nvme/controller.hpp>
#include <spdkio/nvme/discover.hpp>
#include <spdkio/nvmf/target.hpp>
#include <spdkio/rpc/method_table.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/block_on.hpp>
#include <spdkio/runtime/for_each_concurrent.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/runtime/with_timeout.hpp>
#include <spdkio/spec/fabrics.hpp>
#include <spdkio/spec/identify.hpp>
#include <spdkio/spec/nvm_command.hpp>
#include <spdkio/spec/opcodes.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "loopback_fixture.hpp"
#include "method_caller.hpp"

namespace spdkio::loopback {
namespace {

struct Digests {
  bool header;
  bool data;
};

class DigestTest : public LoopbackTest, public ::testing::WithParamInterface<Digests> {};

TEST_P(DigestTest, WhatIsWrittenIsReadBack) {
  nvme::ControllerOptions options;
  options.header_digest = GetParam().header;
  options.data_digest = GetParam().data;
  with_controller(options, [&](nvme::Controller& controller, nvme::Qpair& qpair, nvme::Namespace ns) -> Task<> {
    EXPECT_EQ(ns.num_blocks(), BlockCount{16384});
    EXPECT_GE(controller.max_transfer_bytes(), 131072u);
    auto write_all = [&](LbaRange range) -> Task<> {
      auto buffer = qpair.buffers().get(ns.bytes(range.count));
      fill_random(buffer, range.first.value);
      auto writing = ns.write(qpair, buffer, range);
      co_await writing;
    };
    auto check_all = [&](LbaRange range) -> Task<> {
      auto buffer = qpair.buffers().get(ns.bytes(range.count));
      DmaBuf expected(buffer.size());
      fill_random(expected, range.first.value);
      auto reading = ns.read(qpair, buffer, range);
      co_await reading;
      EXPECT_TRUE(equal(buffer, expected)) << range.first.value;
    };
    for (const std::uint64_t blocks : {1, 8, 61, 256, 1000}) {
      auto writing = for_each_concurrent(48, ns.chunks(BlockCount{blocks}), write_all);
      co_await std::move(writing);
      auto checking = for_each_concurrent(48, ns.chunks(BlockCount{blocks}), check_all);
      co_await std::move(checking);
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Tcp, DigestTest,
                         ::testing::Values(Digests{false, false}, Digests{true, false}, Digests{false, true},
                                           Digests{true, true}),
                         [](const auto& one) {
                           return std::string(one.param.header ? "Header" : "No") + (one.param.data ? "Data" : "No");
                         });

TEST_F(LoopbackTest, TheRestOfTheCommandSet) {
  with_controller({}, [&](nvme::Controller& controller, nvme::Qpair& qpair, nvme::Namespace ns) -> Task<> {
    DmaBuf data(4096);
    DmaBuf other(4096);
    DmaBuf read(4096);
    fill_random(data, 1);
    fill_random(other, 2);
    const LbaRange range{Lba{16}, BlockCount{8}};
    auto writing = ns.write(qpair, data, range);
    co_await writing;
    auto comparing = ns.compare(qpair, data, range);
    co_await comparing;
    auto differing = ns.compare(qpair, other, range);
    const auto differs = co_await as_result(differing);
    EXPECT_FALSE(differs);
    if (!differs && differs.error().nvme_status()) {
      EXPECT_EQ(differs.error().nvme_status()->sc, nvme_sc::compare_failure.sc);
    }
    auto zeroing = ns.write_zeroes(qpair, range);
    co_await zeroing;
    auto reading = ns.read(qpair, read, range);
    co_await reading;
    EXPECT_EQ(std::ranges::count(read.bytes(), std::byte{0}), 4096);
    auto deallocating = ns.deallocate(qpair, range);
    co_await deallocating;
    auto flushing = ns.flush(qpair);
    co_await flushing;
    auto smart = controller.smart_log();
    co_await std::move(smart);
    auto effects = controller.command_effects_log();
    const spec::CommandEffectsLog log = co_await std::move(effects);
    EXPECT_EQ(log.io[spec::raw(spec::NvmOpcode::read)] & 1u, 1u);
    DmaBuf big(4096);
    auto beyond = qpair.execute(spec::nvm::read(1, {Lba{16380}, BlockCount{8}}), big);
    const auto refused = co_await as_result(beyond);
    EXPECT_FALSE(refused);
    if (!refused && refused.error().nvme_status()) {
      EXPECT_EQ(refused.error().nvme_status()->sc, nvme_sc::lba_out_of_range.sc);
    }
  });
}

TEST_F(LoopbackTest, NamespacesComeAndGo) {
  with_controller({}, [&](nvme::Controller& controller, nvme::Qpair&, nvme::Namespace) -> Task<> {
    bdev::MallocOptions disk;
    disk.name = "Malloc1";
    disk.num_blocks = 64;
    auto making = bdev::create_malloc(disk);
    co_await std::move(making);
    auto showing = subsystem_->add_namespace("Malloc1");
    const std::uint32_t nsid = co_await std::move(showing);
    auto waiting = with_timeout(10s, controller.next_event());
    const auto added = co_await std::move(waiting);
    EXPECT_EQ(added->kind, nvme::ControllerEvent::Kind::namespace_added);
    EXPECT_EQ(added->nsid, nsid);
    EXPECT_EQ(controller.ns(nsid).num_blocks(), BlockCount{64});
    auto removing = bdev::delete_malloc("Malloc1");
    co_await std::move(removing);
    auto waiting_again = with_timeout(10s, controller.next_event());
    const auto removed = co_await std::move(waiting_again);
    EXPECT_EQ(removed->kind, nvme::ControllerEvent::Kind::namespace_removed);
    EXPECT_EQ(removed->nsid, nsid);
  });
}

TEST_F(LoopbackTest, DiscoveryListsTheSubsystem) {
  on_home([&]() -> Task<> {
    nvme::TransportId where = address_;
    where.subnqn.clear();
    auto discovering = nvme::discover(where);
    const auto entries = co_await std::move(discovering);
    const auto found = std::ranges::find_if(entries, [](const auto& entry) { return entry.id.subnqn == subnqn; });
    EXPECT_NE(found, entries.end());
    if (found == entries.end()) co_return;
    EXPECT_TRUE(found->connectable);
    EXPECT_EQ(found->id.port(), address_.port());
    EXPECT_EQ(found->type, spec::discovery::SubsystemType::nvm);
  });
}

TEST_F(LoopbackTest, RequestsSurviveASubsystemThatGoesAndComes) {
  nvme::ControllerOptions options;
  options.reconnect.initial_delay = 5ms;
  options.reconnect.max_delay = 20ms;
  with_controller(options, [&](nvme::Controller& controller, nvme::Qpair& qpair, nvme::Namespace ns) -> Task<> {
    bool stop = false;
    std::uint64_t rounds = 0;
    auto work = [&](std::uint64_t worker) -> Task<> {
      DmaBuf written(4096);
      DmaBuf read(4096);
      const LbaRange range{Lba{worker * 8}, BlockCount{8}};
      for (std::uint64_t round = 0; !stop || round == 0; ++round) {
        fill_random(written, worker * 1000 + round);
        auto writing = ns.write(qpair, written, range);
        co_await writing;
        auto reading = ns.read(qpair, read, range);
        co_await reading;
        EXPECT_TRUE(equal(written, read));
        ++rounds;
      }
    };
    Scope scope;
    for (std::uint64_t worker = 0; worker < 16; ++worker) scope.spawn(work(worker));
    for (int i = 0; i < 3; ++i) {
      const std::uint64_t before = rounds;
      while (rounds < before + 50) co_await sleep_for(1ms);
      auto stopping = subsystem_->stop();
      co_await std::move(stopping);
      co_await sleep_for(10ms);
      auto starting = subsystem_->start();
      co_await std::move(starting);
    }
    stop = true;
    co_await scope.join();
    EXPECT_GE(controller.connections(), 2u);
  });
}

TEST_F(LoopbackTest, WithoutAccessToPciThereIsNoPcieController) {
  on_home([&]() -> Task<> {
    auto connecting = nvme::Controller::connect(nvme::TransportId::pcie("0000:01:00.0"));
    const auto connected = co_await as_result(std::move(connecting));
    EXPECT_FALSE(connected);
    if (connected) co_return;
    EXPECT_EQ(connected.error().code(), std::errc::operation_not_permitted);
    EXPECT_NE(connected.error().hint().find("no_pci"), std::string::npos) << connected.error().what();
  });
}

TEST_F(LoopbackTest, StatusOfFabricsCommandsIsTheirs) {
  on_home([&]() -> Task<> {
    nvme::TransportId nowhere = address_;
    nowhere.subnqn = "nqn.2026-11.io.spdkio:not-here";
    auto connecting = nvme::Controller::connect(nowhere);
    const auto connected = co_await as_result(std::move(connecting));
    EXPECT_FALSE(connected);
    if (connected) co_return;
    const std::string what = connected.error().what();
    EXPECT_NE(what.find("SCT 0x1, SC 0x82"), std::string::npos) << what;
    EXPECT_EQ(what.find("Read Only"), std::string::npos) << "that would be a write's: " << what;
  });
}

TEST_F(LoopbackTest, NamespacesAreBdevs) {
  on_home([&]() -> Task<> {
    nvme::ControllerOptions options;
    options.reconnect.initial_delay = 5ms;
    options.reconnect.max_delay = 20ms;
    auto attaching = bdev::attach_nvme("Nvme0", address_, options);
    const auto names = co_await std::move(attaching);
    EXPECT_EQ(names, std::vector<std::string>{"Nvme0n1"});
    auto again = bdev::attach_nvme("Nvme0", address_, options);
    const auto refused = co_await as_result(std::move(again));
    EXPECT_FALSE(refused);
    if (!refused) {
      EXPECT_EQ(refused.error().code(), std::errc::file_exists);
    }
    auto opening = BdevDesc::open("Nvme0n1", Access::read_write);
    BdevDesc disk = co_await std::move(opening);
    EXPECT_EQ(disk.num_blocks(), BlockCount{16384});
    EXPECT_TRUE(disk.supports(bdev::IoType::unmap));
    {
      IoChannel channel = disk.io_channel();
      const auto verified = [&](std::size_t bytes, std::uint64_t offset) -> Task<> {
        DmaBuf written(bytes);
        DmaBuf read(bytes);
        fill_random(written, bytes + offset);
        auto writing = disk.write(channel, written, ByteOffset{offset});
        co_await writing;
        auto reading = disk.read(channel, read, ByteOffset{offset});
        co_await reading;
        EXPECT_TRUE(equal(written, read)) << bytes;
      };
      for (const std::size_t bytes : {512u, 4096u, 131072u, 1u << 20}) {
        auto one = verified(bytes, 4096);
        co_await std::move(one);
      }
      auto zeroing = disk.write_zeroes(channel, LbaRange{Lba{0}, BlockCount{16384}});
      co_await zeroing;
      auto unmapping = disk.unmap(channel, LbaRange{Lba{0}, BlockCount{16384}});
      co_await unmapping;
      auto flushing = disk.flush(channel);
      co_await flushing;
      DmaBuf expected(512);
      DmaBuf data(512);
      fill_random(data, 5);
      const DmaSpan expected_list[] = {expected.span()};
      const DmaSpan data_list[] = {data.span()};
      if (disk.supports(bdev::IoType::compare_and_write)) {
        auto swapping = disk.compare_and_write(channel, expected_list, data_list, {Lba{0}, BlockCount{1}});
        co_await swapping;
        auto failing = disk.compare_and_write(channel, expected_list, data_list, {Lba{0}, BlockCount{1}});
        const auto failed = co_await as_result(failing);
        EXPECT_FALSE(failed);
      }
      auto resetting = disk.reset(channel);
      co_await resetting;
      auto after = verified(4096, 0);
      co_await std::move(after);
      auto stopping = subsystem_->stop();
      co_await std::move(stopping);
      auto starting = subsystem_->start();
      co_await std::move(starting);
      auto back = verified(65536, 0);
      co_await std::move(back);
    }
    auto closing = disk.close();
    co_await std::move(closing);
    auto detaching = bdev::detach_nvme("Nvme0");
    co_await std::move(detaching);
    EXPECT_EQ(bdev::Service::current().find("Nvme0n1"), nullptr);
    auto unknown = bdev::detach_nvme("Nvme0");
    EXPECT_FALSE(co_await as_result(std::move(unknown)));
  });
}

TEST_F(LoopbackTest, BdevsGoWithAControllerThatIsGivenUp) {
  on_home([&]() -> Task<> {
    nvme::ControllerOptions options;
    options.reconnect.enabled = false;
    auto attaching = bdev::attach_nvme("Nvme0", address_, options);
    co_await std::move(attaching);
    auto opening = BdevDesc::open("Nvme0n1", Access::read_write);
    BdevDesc disk = co_await std::move(opening);
    {
      IoChannel channel = disk.io_channel();
      DmaBuf data(4096);
      auto reading = disk.read(channel, data, ByteOffset{0});
      co_await reading;
      auto stopping = subsystem_->stop();
      co_await std::move(stopping);
      auto failing = disk.read(channel, data, ByteOffset{0});
      const auto failed = co_await as_result(failing);
      EXPECT_FALSE(failed);
      while (bdev::Service::current().find("Nvme0n1") != nullptr) co_await sleep_for(1ms);
    }
    auto closing = disk.close();
    co_await std::move(closing);
  });
}

TEST_F(LoopbackTest, RpcMethods) {
  rpc::MethodTable table;
  bdev::register_nvme_methods(table);
  on_home([&]() -> Task<> {
    const MethodCaller call{table};
    Json set;
    set["keep_alive_timeout_ms"] = 5000;
    set["reconnect_delay_sec"] = 1;
    set["nvme_ioq_poll_period_us"] = 0;
    auto setting = call("bdev_nvme_set_options", set);
    const Json setting_answer = co_await std::move(setting);
    EXPECT_EQ(setting_answer, Json(true));
    Json attach;
    attach["name"] = "Nvme1";
    attach["trtype"] = "tcp";
    attach["adrfam"] = "ipv4";
    attach["traddr"] = "127.0.0.1";
    attach["trsvcid"] = address_.trsvcid;
    attach["subnqn"] = subnqn;
    attach["hdgst"] = true;
    auto attaching = call("bdev_nvme_attach_controller", attach);
    const Json attaching_answer = co_await std::move(attaching);
    EXPECT_EQ(attaching_answer, Json::parse(R"(["Nvme1n1"])"));
    Json named;
    named["name"] = "Nvme1";
    auto getting = call("bdev_nvme_get_controllers", named);
    const Json controllers = co_await std::move(getting);
    EXPECT_EQ(controllers[0]["name"], "Nvme1");
    EXPECT_EQ(controllers[0]["ctrlrs"][0]["state"], "enabled");
    EXPECT_EQ(controllers[0]["ctrlrs"][0]["trid"]["subnqn"], subnqn);
    auto asking = call("bdev_nvme_get_controller_health_info", named);
    const Json health = co_await std::move(asking);
    EXPECT_EQ(health["traddr"], "127.0.0.1");

    const auto state = bdev::Service::current().find("Nvme1n1");
    const auto config = state->device()->config();
    EXPECT_EQ(config["method"], "bdev_nvme_attach_controller");
    EXPECT_EQ(config["params"]["hdgst"], true);
    EXPECT_EQ(state->device()->driver_specific()["nvme"][0]["ns_data"]["id"], 1);

    const spec::Command identify = spec::identify_command(spec::Cns::controller);
    Json send = named;
    send["cmd_type"] = "admin";
    send["data_direction"] = "c2h";
    send["cmdbuf"] = base64_encode(std::as_bytes(std::span(&identify, 1)));
    send["data_len"] = 4096;
    auto sending = call("bdev_nvme_send_cmd", send);
    const Json answer = co_await std::move(sending);
    EXPECT_FALSE(answer["cpl"].get<std::string>().empty());
    EXPECT_GT(answer["data"].get<std::string>().size(), 4096u);

    auto resetting = call("bdev_nvme_reset_controller", named);
    const Json resetting_answer = co_await std::move(resetting);
    EXPECT_EQ(resetting_answer, Json(true));
    auto detaching = call("bdev_nvme_detach_controller", named);
    const Json detaching_answer = co_await std::move(detaching);
    EXPECT_EQ(detaching_answer, Json(true));
    auto again = call("bdev_nvme_detach_controller", named);
    const auto again_answer = co_await as_result(std::move(again));
    EXPECT_FALSE(again_answer);
    attach["multipath"] = "multipath";
    auto refused = call("bdev_nvme_attach_controller", attach);
    const auto refused_answer = co_await as_result(std::move(refused));
    EXPECT_FALSE(refused_answer);
  });
}

}  // namespace
}  // namespace spdkio::loopback
