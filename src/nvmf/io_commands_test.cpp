#include <spdkio/spec/identify_controller.hpp>
#include <spdkio/spec/identify_namespace.hpp>

#include "nvmf/test_fixture.hpp"

namespace spdkio::nvmf::test {
namespace {

using spec::NvmOpcode;

constexpr std::uint8_t both_digests = 3;

class IoCommands : public TargetTest, public ::testing::WithParamInterface<int> {};

TEST_F(TargetTest, HostConnectsAndIdentifies) {
  RawHost host = admin();
  EXPECT_EQ(host.property(spec::fabrics::property::vs), 0x00010400u);
  const spec::Capabilities cap{host.property(spec::fabrics::property::cap, true)};
  EXPECT_EQ(cap.max_queue_entries(), 128u);
  EXPECT_TRUE(cap.nvm_command_set());

  const Answer controller = identify(host, spec::Cns::controller);
  ASSERT_TRUE(controller.status().ok());
  ASSERT_EQ(controller.data.size(), 4096u);
  spec::IdentifyController id;
  std::memcpy(&id, controller.data.data(), sizeof id);
  EXPECT_EQ(id.cntlid.value(), cntlid_);
  EXPECT_EQ(id.subnqn.to_string(), subnqn);
  EXPECT_EQ(id.mdts, 5);
  EXPECT_EQ(id.ioccsz.value(), (64u + 4096) / 16);
  EXPECT_EQ(id.fuses.value(), 1u);

  const Answer list = identify(host, spec::Cns::active_ns_list);
  spec::NamespaceList active;
  std::memcpy(&active, list.data.data(), sizeof active);
  EXPECT_EQ(active.nsid[0].value(), 1u);
  EXPECT_EQ(active.nsid[1].value(), 0u);

  const Answer ns = identify(host, spec::Cns::ns, 1);
  spec::IdentifyNamespace described;
  std::memcpy(&described, ns.data.data(), sizeof described);
  EXPECT_EQ(described.nsze.value(), 8192u);
  EXPECT_EQ(described.format().block_size(), 512u);
  EXPECT_EQ(identify(host, spec::Cns::ns, 33).status().sc, 0x0B);
  EXPECT_TRUE(identify(host, spec::Cns::ns, 2).status().ok());
}

TEST_P(IoCommands, WhatWasWrittenIsRead) {
  RawHost control = admin(static_cast<std::uint8_t>(GetParam()));
  RawHost host = io(1, static_cast<std::uint8_t>(GetParam()));
  for (const std::size_t size : {512u, 4096u}) {
    const Bytes data = pattern(size, 7);
    EXPECT_TRUE(host.run(write(3, size / 512), data).status().ok());
    const Answer back = host.run(read(3, size / 512), {}, static_cast<std::uint32_t>(size));
    EXPECT_TRUE(back.status().ok());
    EXPECT_EQ(back.data, data);
  }
  for (const std::size_t size : {512u, 8192u, 131072u}) {
    const Bytes data = pattern(size, 9);
    const Answer written = host.run(write(100, size / 512), {}, 0, data);
    EXPECT_TRUE(written.status().ok());
    EXPECT_EQ(written.r2ts, 1u);
    const Answer back = host.run(read(100, size / 512), {}, static_cast<std::uint32_t>(size));
    EXPECT_EQ(back.data, data);
  }
}
INSTANTIATE_TEST_SUITE_P(Digests, IoCommands, ::testing::Values(0, 1, 2, 3));

TEST_F(TargetTest, ManyCommandsInFlightEndInAnyOrder) {
  RawHost control = admin();
  RawHost host = io();
  const Bytes data = pattern(4096, 3);
  std::vector<std::uint16_t> cids;
  for (unsigned i = 0; i < 100; ++i) {
    spec::Command command = write(i * 8, 8);
    command.flags = 0x40;
    command.set_sgl(spec::SglDescriptor::in_capsule(0, 4096));
    cids.push_back(host.submit(command, data));
  }
  for (auto cid = cids.rbegin(); cid != cids.rend(); ++cid) EXPECT_TRUE(host.wait(*cid).status().ok());
  const Answer last = host.run(read(99 * 8, 8), {}, 4096);
  EXPECT_EQ(last.data, data);
}

TEST_F(TargetTest, OtherCommands) {
  RawHost control = admin();
  RawHost host = io(1, both_digests);
  const Bytes data = pattern(4096);
  ASSERT_TRUE(host.run(write(0, 8), data).status().ok());
  EXPECT_TRUE(host.run(ranged(NvmOpcode::compare, 0, 8), data).status().ok());
  EXPECT_EQ(host.run(ranged(NvmOpcode::compare, 8, 8), data).status().sc, 0x85);
  EXPECT_TRUE(host.run(spec::nvm::flush(1)).status().ok());
  EXPECT_TRUE(host.run(ranged(NvmOpcode::write_zeroes, 0, 4)).status().ok());
  Bytes expected = data;
  std::fill_n(expected.begin(), 2048, std::byte{0});
  EXPECT_EQ(host.run(read(0, 8), {}, 4096).data, expected);

  std::array<spec::DsmRange, 2> ranges{};
  ranges[0].lba = 4u;
  ranges[0].blocks = 1u;
  ranges[1].lba = 6u;
  ranges[1].blocks = 2u;
  EXPECT_TRUE(host.run(spec::nvm::dataset_management(1, 2, spec::dsm_deallocate), std::as_bytes(std::span(ranges)))
                  .status()
                  .ok());
  std::fill_n(expected.begin() + 4 * 512, 512, std::byte{0});
  std::fill_n(expected.begin() + 6 * 512, 1024, std::byte{0});
  EXPECT_EQ(host.run(read(0, 8), {}, 4096).data, expected);

  std::array<spec::CopyRange, 1> sources{};
  sources[0].lba = 5u;
  sources[0].blocks = std::uint16_t{0};
  EXPECT_TRUE(host.run(spec::nvm::copy(1, Lba{20}, 1), std::as_bytes(std::span(sources))).status().ok());
  EXPECT_EQ(host.run(read(20, 1), {}, 512).data, Bytes(data.begin() + 5 * 512, data.begin() + 6 * 512));
}

TEST_F(TargetTest, FusedCompareAndWrite) {
  RawHost control = admin();
  RawHost host = io();
  const Bytes before = pattern(512, 1);
  const Bytes after = pattern(512, 2);
  ASSERT_TRUE(host.run(write(7, 1), before).status().ok());
  const auto submit_pair = [&](const Bytes& expected, const Bytes& data) {
    spec::Command first = ranged(NvmOpcode::compare, 7, 1);
    first.flags = 0x41;
    first.set_sgl(spec::SglDescriptor::in_capsule(0, 512));
    spec::Command second = write(7, 1);
    second.flags = 0x42;
    second.set_sgl(spec::SglDescriptor::transport_data(512));
    const std::uint16_t one = host.submit(first, expected);
    const std::uint16_t two = host.submit(second);
    const NvmeStatus second_status = host.wait(two, data).status();
    return std::pair(host.wait(one).status(), second_status);
  };
  auto [first, second] = submit_pair(before, after);
  EXPECT_TRUE(first.ok());
  EXPECT_TRUE(second.ok());
  EXPECT_EQ(host.run(read(7, 1), {}, 512).data, after);
  std::tie(first, second) = submit_pair(before, before);
  EXPECT_EQ(first.sc, 0x85);
  EXPECT_EQ(second.sc, 0x09);
  EXPECT_EQ(host.run(read(7, 1), {}, 512).data, after);

  // Halves of a pair without the other.
  spec::Command lonely = ranged(NvmOpcode::compare, 7, 1);
  lonely.flags = 0x41;
  lonely.set_sgl(spec::SglDescriptor::in_capsule(0, 512));
  const std::uint16_t cid = host.submit(lonely, after);
  EXPECT_TRUE(host.run(spec::nvm::flush(1)).status().ok());
  EXPECT_EQ(host.wait(cid).status().sc, 0x0A);
  lonely.flags = 0x42;
  EXPECT_EQ(host.wait(host.submit(lonely, after)).status().sc, 0x0A);
}

TEST_F(TargetTest, WrongCommandsAreAnswered) {
  RawHost control = admin();
  RawHost host = io();
  const Bytes data = pattern(4096);
  EXPECT_EQ(host.run(read(8190, 8), {}, 4096).status().sc, 0x80);
  EXPECT_EQ(host.run(read(UINT64_MAX - 3, 8), {}, 4096).status().sc, 0x80);
  EXPECT_EQ(host.run(read(0, 8, 2), {}, 4096).status().sc, 0x0B);
  EXPECT_EQ(host.run(read(0, 8, 0), {}, 4096).status().sc, 0x0B);
  EXPECT_EQ(host.run(read(0, 8, spec::nsid_all), {}, 4096).status().sc, 0x0B);
  EXPECT_EQ(host.run(read(0, 8), {}, 512).status().sc, 0x0F);
  EXPECT_EQ(host.run(write(0, 16), data).status().sc, 0x0F);
  EXPECT_EQ(host.run(read(0, 65536), {}, 65536 * 512).status().sc, 0x0F);
  spec::Command unknown;
  unknown.opcode = 0xC1;
  unknown.nsid = 1u;
  EXPECT_EQ(host.run(unknown).status().sc, 0x01);
  // An SGL that points behind the capsule, and one of a type that isn't carried.
  spec::Command behind = write(0, 8);
  behind.set_sgl(spec::SglDescriptor::in_capsule(4096, 4096));
  EXPECT_EQ(host.wait(host.submit(behind, data)).status().sc, 0x0F);
  behind.set_sgl(spec::SglDescriptor::in_capsule(5000, 4096));
  EXPECT_EQ(host.wait(host.submit(behind, data)).status().sc, 0x16);
  behind.set_sgl(spec::SglDescriptor::make(spec::SglType::keyed_data_block, spec::SglSubType::address, 0, 4096));
  EXPECT_EQ(host.wait(host.submit(behind, data)).status().sc, 0x11);
  // The connection is as good as before.
  EXPECT_TRUE(host.run(write(0, 8), data).status().ok());
}

}  // namespace
}  // namespace spdkio::nvmf::test
