// identify, discover and nvme: against `spdkio serve` of the same build, and with command lines that can't be right.
#include "spdkio/cli/run_for_test.hpp"
#include "spdkio/nvme/discover_command.hpp"
#include "spdkio/nvme/identify_json.hpp"
#include "spdkio/system/fake_root.hpp"

#include <spdkio/rpc/json.hpp>
#include <spdkio/spec/fabrics.hpp>
#include <spdkio/testing/target_process.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace spdkio::tool {
namespace {

class NvmeCommands : public ::testing::Test {
 protected:
  void SetUp() override {
    testing::TargetProcessOptions options;
    options.program = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "bin" / "spdkio";
    options.devices = {"malloc:4MiB", "malloc:8MiB,block_size=4096"};
    target_.emplace(testing::TargetProcess::start(options));
    id_ = target_->transport_id().to_string();
    service_ = fmt::format("trtype:TCP traddr:127.0.0.1 trsvcid:{}", target_->port());
  }
  static Json json_of(std::vector<std::string> args) {
    args.push_back("--json");
    const ProgramRun run = run_for_test(args);
    EXPECT_EQ(run.code, 0) << run.err;
    auto json = rpc::parse_json(run.out);
    return json ? *json : Json{};
  }
  std::string path(const char* name) const { return (folder_.path() / name).string(); }

  std::optional<testing::TargetProcess> target_;
  std::string id_;
  std::string service_;
  FakeRoot folder_;
};

TEST_F(NvmeCommands, IdentifyShowsControllerAndNamespaces) {
  const Json json = json_of({"identify", id_});
  EXPECT_EQ(json["controller"]["subnqn"], target_->transport_id().subnqn);
  EXPECT_EQ(json["controller"]["cntrltype"], 1);
  EXPECT_EQ(json["properties"]["cap"].get<std::uint64_t>() >> 37 & 1, 1u) << "the NVM command set";
  ASSERT_EQ(json["namespaces"].size(), 2u);
  EXPECT_EQ(json["namespaces"][0]["nsze"], 8192);
  EXPECT_EQ(json["namespaces"][1]["lbafs"][0]["ds"], 12);
  EXPECT_EQ(json["namespaces"][1]["uuid"].get<std::string>().size(), 36u);

  const ProgramRun text = run_for_test({"identify", id_});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_NE(text.out.find("I/O controller"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("8 MiB"), std::string::npos) << text.out;
  const ProgramRun one = run_for_test({"identify", id_ + " ns:2"});
  EXPECT_NE(one.out.find("8 MiB (2048 blocks)"), std::string::npos) << one.out << one.err;
  const ProgramRun none = run_for_test({"identify", id_ + " ns:7"});
  EXPECT_EQ(none.code, 1);
  EXPECT_NE(none.err.find("7"), std::string::npos) << none.err;
  const ProgramRun discovery = run_for_test({"identify", service_ + " subnqn:nqn.2014-08.org.nvmexpress.discovery"});
  EXPECT_NE(discovery.out.find("discovery controller"), std::string::npos) << discovery.out << discovery.err;
}

TEST_F(NvmeCommands, DiscoverListsSubsystems) {
  const Json json = json_of({"discover", service_});
  bool found = false;
  for (const Json& record : json["records"]) {
    if (record["subnqn"] != target_->transport_id().subnqn) continue;
    found = true;
    EXPECT_EQ(record["trtype"], "tcp");
    EXPECT_EQ(record["subtype"], "nvme subsystem");
    EXPECT_EQ(record["trsvcid"], std::to_string(target_->port()));
  }
  EXPECT_TRUE(found) << json.dump();
  const ProgramRun text = run_for_test({"discover", service_});
  EXPECT_NE(text.out.find("subnqn:" + target_->transport_id().subnqn), std::string::npos) << text.out << text.err;
}

TEST_F(NvmeCommands, RawCommandsReachTheController) {
  const Json identify = json_of({"nvme", "admin-passthru", id_, "--opcode=0x06", "--cdw10=1", "--data-len=4096", "-r"});
  EXPECT_EQ(identify["command"], "Identify");
  EXPECT_EQ(identify["data"].get<std::string>().size(), 8192u);
  // Property Get of VS.
  const Json property = json_of({"nvme", "admin-passthru", id_, "-O", "0x7f", "--nsid=4", "--cdw11=8"});
  EXPECT_EQ(property["result"], json_of({"identify", id_})["properties"]["vs"]);

  folder_.file("/block", std::string(512, 'x'));
  const ProgramRun write =
      run_for_test({"nvme", "io-passthru", id_ + " ns:1", "--opcode=1", "--cdw10=3", "--input-file", path("block")});
  EXPECT_EQ(write.code, 0) << write.err;
  const ProgramRun read = run_for_test(
      {"nvme", "io-passthru", id_, "--namespace-id=1", "--opcode=2", "--cdw10=3", "--data-len=512", "--raw-binary"});
  EXPECT_EQ(read.code, 0) << read.err;
  EXPECT_EQ(read.out, std::string(512, 'x'));
  const ProgramRun beyond =
      run_for_test({"nvme", "io-passthru", id_, "--namespace-id=1", "--opcode=2", "--cdw10=8192", "--data-len=512"});
  EXPECT_EQ(beyond.code, 1);
  EXPECT_NE(beyond.err.find("LBA Out of Range"), std::string::npos) << beyond.err;
}

TEST_F(NvmeCommands, CopyToANamespaceWritesZeroesToo) {
  // What a namespace holds is not known: holes of the source have to get there.
  folder_.file("/ones", std::string(4 << 20, '\xff'));
  folder_.file("/holes", std::string(1 << 20, 'a') + std::string(3 << 20, '\0'));
  ASSERT_EQ(run_for_test({"copy", path("ones"), id_}).code, 0);
  const ProgramRun copy = run_for_test({"copy", path("holes"), id_, "--verify", "--json"});
  EXPECT_EQ(copy.code, 0) << copy.err;
  EXPECT_NE(copy.out.find("\"same\": true"), std::string::npos) << copy.out;
}

TEST(NvmeCommandLines, MistakesAreNamed) {
  const auto refusal = [](std::vector<std::string> args) {
    const ProgramRun run = run_for_test(std::move(args));
    EXPECT_EQ(run.code, 2) << run.err;
    return run.err;
  };
  EXPECT_NE(refusal({"identify", "malloc:1MiB"}).find("no transport id"), std::string::npos);
  EXPECT_NE(refusal({"identify", "trtype:TCP traddr:127.0.0.1 ns:0"}).find("names no namespace"), std::string::npos);
  EXPECT_NE(refusal({"identify", "trtype:SCSI traddr:1"}).find("SCSI"), std::string::npos);
  EXPECT_NE(refusal({"identify", "trtype:TCP traddr:127.0.0.1", "--hostid", "7"}).find("--hostid"), std::string::npos);
  EXPECT_NE(refusal({"identify", "trtype:TCP traddr:127.0.0.1", "--timeout=0"}).find("--timeout"), std::string::npos);
  EXPECT_NE(refusal({"discover", "trtype:PCIe traddr:0000:01:00.0"}).find("no discovery service"), std::string::npos);
  EXPECT_NE(refusal({"discover", "trtype:TCP traddr:127.0.0.1 subnqn:nqn.2026-11.io.example:disk"}).find("identify"),
            std::string::npos);
  EXPECT_NE(refusal({"nvme", "list", "trtype:TCP traddr:127.0.0.1", "-O", "6"}).find("admin-passthru"),
            std::string::npos);
  EXPECT_NE(refusal({"nvme", "admin-passthru", "trtype:TCP traddr:127.0.0.1"}).find("--opcode"), std::string::npos);
}

TEST(NvmeCommandLines, DryRunOnlyShows) {
  const ProgramRun run = run_for_test({"nvme", "admin-passthru", "trtype:TCP traddr:192.0.2.1 ns:3", "--opcode=0x02",
                                       "--cdw10=0x1007f0002", "--dry-run"});
  EXPECT_EQ(run.code, 2) << "more than 32 bits";
  const ProgramRun good = run_for_test(
      {"nvme", "admin-passthru", "trtype:TCP traddr:192.0.2.1 ns:3", "--opcode=0x02", "--cdw10=0x7f0002", "--dry-run"});
  EXPECT_EQ(good.code, 0) << good.err;
  EXPECT_NE(good.out.find("(Get Log Page)"), std::string::npos) << good.out;
  EXPECT_NE(good.out.find("nsid         00000003"), std::string::npos) << good.out;
  EXPECT_NE(good.out.find("cdw10        007f0002"), std::string::npos) << good.out;
}

TEST(DiscoveryText, WhatCanNotBeConnectedIsShownToo) {
  nvme::DiscoveryEntry fibre;
  fibre.type = spec::discovery::SubsystemType::nvm;
  fibre.raw.trtype = spec::discovery::TransportType::fc;
  fibre.raw.adrfam = spec::discovery::AddressFamily::fc;
  fibre.id.traddr = "nn-0x1:pn-0x2";
  fibre.id.subnqn = "nqn.2026-11.io.example:fc\x1b";
  std::ostringstream out;
  print_discovery(Terminal{out, {}}, {fibre});
  EXPECT_NE(out.str().find("trtype:fc"), std::string::npos) << out.str();
  EXPECT_EQ(out.str().find('\x1b'), std::string::npos);
  std::ostringstream nothing;
  print_discovery(Terminal{nothing, {}}, {});
  EXPECT_NE(nothing.str().find("knows no subsystem"), std::string::npos);
}

TEST(IdentifyJson, HasTheFieldsOfTheStructures) {
  spec::IdentifyController controller;
  controller.vid = std::uint16_t{0x1b36};
  controller.sn.assign_spaces("S1");
  controller.ieee = {0x01, 0x02, 0x03};
  controller.tnvmcap.low = 5u;
  controller.unvmcap.high = 1u;
  const Json json = identify_json(controller);
  EXPECT_EQ(json["vid"], 0x1b36);
  EXPECT_EQ(json["sn"], "S1");
  EXPECT_EQ(json["ieee"], 0x030201);
  EXPECT_EQ(json["tnvmcap"], 5);
  EXPECT_EQ(json["unvmcap"], "0x10000000000000000") << "more than a JSON number holds";
  EXPECT_EQ(json["psds"].size(), 1u);
  spec::IdentifyNamespace ns;
  ns.nlbaf = 255;  // more than there are
  ns.flbas = 1;
  ns.lbaf[1].data_log2 = 12;
  const Json described = identify_json(ns);
  ASSERT_EQ(described["lbafs"].size(), 64u);
  EXPECT_EQ(described["lbafs"][1]["in_use"], true);
  EXPECT_EQ(described["nguid"], std::string(32, '0'));
}

}  // namespace
}  // namespace spdkio::tool
