
#include "spdkio/device/device_spec.hpp"

#include "spdkio/cli/failure.hpp"
#include "spdkio/system/fake_root.hpp"

#include <spdkio/base/error.hpp>

#include <gtest/gtest.h>

namespace spdkio::tool {
namespace {

std::string refusal(std::string_view text) {
  DevicePlan plan;
  try {
    plan.add(text);
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.code(), ExitCode::usage);
    return failure.what();
  }
  return "accepted";
}

TEST(DeviceSpec, ShorthandsBecomeCallsInAConfiguration) {
  DevicePlan plan;
  EXPECT_EQ(plan.add("malloc:64MiB").bdev_name, "malloc0");
  EXPECT_EQ(plan.add("malloc:1MiB,block_size=4096,name=fast").bdev_name, "fast");
  EXPECT_EQ(plan.add("null:1GiB").bdev_name, "null0");
  EXPECT_EQ(plan.add("malloc:1MiB").bdev_name, "malloc1");
  const DeviceSpec file = plan.add("file:/tmp/a b,c.img,block_size=4k");
  EXPECT_EQ(file.path, "/tmp/a b,c.img");
  EXPECT_EQ(plan.config(), Json::parse(R"({"subsystems": [{"subsystem": "bdev", "config": [
      {"method": "bdev_malloc_create", "params": {"name": "malloc0", "num_blocks": 131072, "block_size": 512}},
      {"method": "bdev_malloc_create", "params": {"name": "fast", "num_blocks": 256, "block_size": 4096}},
      {"method": "bdev_null_create", "params": {"name": "null0", "num_blocks": 2097152, "block_size": 512}},
      {"method": "bdev_malloc_create", "params": {"name": "malloc1", "num_blocks": 2048, "block_size": 512}},
      {"method": "bdev_aio_create", "params": {"name": "file0", "filename": "/tmp/a b,c.img", "block_size": 4096}}]}]})"));
}

TEST(DeviceSpec, PathsAreFiles) {
  DevicePlan plan;
  EXPECT_EQ(plan.add("./disk.img").path, "./disk.img");
  EXPECT_EQ(plan.add("/dev/nvme0n1").path, "/dev/nvme0n1");
  EXPECT_EQ(plan.add("/dev/disk/by-path/pci-0000:01:00.0").path, "/dev/disk/by-path/pci-0000:01:00.0");
}

TEST(DeviceSpec, AFileOfTheCurrentFolderNeedsNoSlash) {
  FakeRoot folder;
  folder.file("disk.img", "x").file("config.json", R"({"subsystems": []})");
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  DevicePlan plan;
  EXPECT_EQ(plan.add("disk.img,block_size=4096").path, "disk.img");
  EXPECT_NE(refusal("other.img").find("without a configuration"), std::string::npos);
  DevicePlan configured("config.json");
  EXPECT_EQ(configured.add("disk.img").path, "") << "there it is the name of a device";
  std::filesystem::current_path(before);
}

TEST(DeviceSpec, TransportIdsAreNamespacesOfAController) {
  DevicePlan plan;
  const DeviceSpec tcp = plan.add("trtype:TCP traddr:127.0.0.1 trsvcid:4421 subnqn:nqn.2026-11.io.example:disk ns:3");
  EXPECT_EQ(tcp.bdev_name, "nvme0n3");
  EXPECT_FALSE(tcp.is_new) << "it may hold something";
  EXPECT_EQ(tcp.call,
            Json::parse(R"({"method": "bdev_nvme_attach_controller", "params": {"name": "nvme0", "trtype": "TCP",
      "traddr": "127.0.0.1", "adrfam": "IPv4", "trsvcid": "4421", "subnqn": "nqn.2026-11.io.example:disk"}})"));
  EXPECT_EQ(plan.add("trtype:tcp traddr:::1 subnqn:nqn.2026-11.io.example:disk").call["params"]["trsvcid"], "4420");
  EXPECT_EQ(plan.add("trtype:tcp traddr:::1 subnqn:nqn.2026-11.io.example:disk ns:2,hdgst=true,num_io_queues=3")
                .call["params"]["num_io_queues"],
            3);
  const DeviceSpec pcie = plan.add("trtype:PCIe traddr:0000:01:00.0");
  EXPECT_EQ(pcie.bdev_name, "nvme3n1");
  EXPECT_EQ(pcie.call["params"]["traddr"], "0000:01:00.0");
  EXPECT_NE(refusal("trtype:TCP traddr:127.0.0.1 ns:x").find("names no namespace"), std::string::npos);
  EXPECT_NE(refusal("trtype:TCP traddr:127.0.0.1 port:7").find("port"), std::string::npos);
}

TEST(DeviceSpec, OtherParametersGoToTheCreateCall) {
  DevicePlan plan;
  const Json params = plan.add("malloc:1MiB,md_size=8,md_interleave=true,uuid=abc").call["params"];
  EXPECT_EQ(params["md_size"], 8);
  EXPECT_EQ(params["md_interleave"], true);
  EXPECT_EQ(params["uuid"], "abc");
}

TEST(DeviceSpec, NonsenseIsRefused) {
  EXPECT_EQ(refusal(""), "an empty device name");
  EXPECT_NE(refusal("malloc:").find("malloc:"), std::string::npos);
  EXPECT_NE(refusal("malloc:64MB").find("64MB"), std::string::npos);
  EXPECT_NE(refusal("malloc:100").find("multiple of the block size"), std::string::npos);
  EXPECT_NE(refusal("malloc:0").find("multiple of the block size"), std::string::npos);
  EXPECT_NE(refusal("malloc:1MiB,block_size=0").find("block_size"), std::string::npos);
  EXPECT_NE(refusal("malloc:1MiB,block_size=many").find("many"), std::string::npos);
  EXPECT_NE(refusal("malloc:1MiB,name=3").find("not a string"), std::string::npos);
  EXPECT_EQ(refusal("mallok:1MiB"), "'mallok' names no kind of device");
  EXPECT_NE(refusal("file:").find("path"), std::string::npos);
  EXPECT_NE(refusal("Malloc0").find("without a configuration"), std::string::npos);
  EXPECT_NE(refusal("bdev:lvs/vol").find("without a configuration"), std::string::npos);
}

TEST(DeviceSpec, NamesAreTakenOnce) {
  DevicePlan plan;
  plan.add("malloc:1MiB,name=a");
  EXPECT_THROW(plan.add("null:1MiB,name=a"), Failure);
}

TEST(DeviceSpec, ConfigurationFilesAreKept) {
  FakeRoot folder;
  folder.file("/c.json", R"({"subsystems": [{"subsystem": "iobuf", "config": null}, {"subsystem": "bdev", "config": [
      {"method": "bdev_malloc_create", "params": {"name": "malloc0", "num_blocks": 8, "block_size": 512}}]}]})");
  DevicePlan plan{(folder.path() / "c.json").string()};
  EXPECT_EQ(plan.add("malloc0").call, nullptr);
  EXPECT_EQ(plan.add("malloc:1MiB").bdev_name, "malloc1") << "names of the configuration are taken";
  EXPECT_EQ(plan.add("bdev:lvs/vol").bdev_name, "lvs/vol") << "not the path of a file";
  EXPECT_EQ(plan.config()["subsystems"][1]["config"].size(), 2U);
}

TEST(DeviceSpec, ConfigurationFilesThatAreNone) {
  FakeRoot folder;
  folder.file("/list.json", "[]").file("/broken.json", "{");
  EXPECT_THROW(DevicePlan{(folder.path() / "list.json").string()}, Failure);
  EXPECT_THROW(DevicePlan{(folder.path() / "broken.json").string()}, Error);
  EXPECT_THROW(DevicePlan{(folder.path() / "absent.json").string()}, Error);
}

TEST(DeviceSpec, ValuesFromText) {
  EXPECT_EQ(value_from_text("4096"), 4096);
  EXPECT_EQ(value_from_text("true"), true);
  EXPECT_EQ(value_from_text("null"), nullptr);
  EXPECT_EQ(value_from_text("[1,2]"), Json::parse("[1,2]"));
  EXPECT_EQ(value_from_text("\"7\""), "7");
  EXPECT_EQ(value_from_text("Malloc0"), "Malloc0");
  EXPECT_EQ(value_from_text(""), "");
}

}  // namespace
}  // namespace spdkio::tool
