// The target and the initiator of this library on SPDK threads, with a bdev of SPDK's between them.
#include <spdkio/nvme/controller.hpp>
#include <spdkio/nvmf/target.hpp>

#include "spdk_fixture.hpp"

namespace spdkio::spdk_test {
namespace {

constexpr const char* subnqn = "nqn.2026-11.io.spdkio:over-spdk";

using SpdkNvmfTest = SpdkTest;

TEST_F(SpdkNvmfTest, AControllerReachesABdevOfSpdks) {
  make_malloc("Disk", 16384);
  constexpr std::size_t depth = 64;
  const DmaBuf data{depth * 4096};
  const DmaBuf found{depth * 4096};
  fill_random(data, 7);
  auto body = [&]() -> Task<> {
    nvmf::TargetOptions ours;
    ours.provider = nvmf::Provider::library;
    auto creating = nvmf::Target::create(ours);
    auto target = co_await std::move(creating);
    co_await target.add_transport(nvmf::Transport::tcp());
    nvmf::SubsystemOptions options;
    options.allow_any_host = true;
    auto making = target.create_subsystem(subnqn, options);
    auto subsystem = co_await std::move(making);
    co_await subsystem.add_namespace("Disk");
    auto listening = subsystem.add_listener(nvme::TransportId::tcp("127.0.0.1", 0));
    nvme::TransportId address = co_await std::move(listening);
    co_await subsystem.start();
    address.subnqn = subnqn;

    auto connecting = nvme::Controller::connect(address);
    nvme::Controller controller = co_await std::move(connecting);
    auto allocating = controller.alloc_io_qpair();
    nvme::Qpair qpair = co_await std::move(allocating);
    const nvme::Namespace ns = controller.ns(1);
    auto one = [&](std::size_t i) -> Task<> {
      const LbaRange where = blocks(i * 8, 8);
      auto writing = ns.write(qpair, data.subspan(i * 4096, 4096), where);
      co_await writing;
      auto reading = ns.read(qpair, found.subspan(i * 4096, 4096), where);
      co_await reading;
    };
    {
      Scope scope;
      for (std::size_t i = 0; i < depth; ++i) scope.spawn(one(i));
      co_await scope.join();
    }
    co_await qpair.close();
    co_await controller.detach();
    co_await target.destroy();
  };
  const auto ended = run(body());
  ASSERT_TRUE(ended) << ended.error().what();
  EXPECT_TRUE(equal(data, found));
  // The bdev holds what came over the wire.
  Open open("Disk", Access::read_only);
  const DmaBuf again{depth * 4096};
  ASSERT_TRUE(run(open.desc.read(open.channel, again, blocks(0, depth * 8))));
  EXPECT_TRUE(equal(data, again));
}

}  // namespace
}  // namespace spdkio::spdk_test
