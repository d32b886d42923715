#include "spdkio/serve/serve_plan.hpp"

#include "spdkio/cli/failure.hpp"

#include <spdkio/base/uuid.hpp>

#include <gtest/gtest.h>

namespace spdkio::tool {
namespace {

TEST(ListenAddress, Forms) {
  const auto form = [](const char* text) {
    const nvme::TransportId where = listen_address(text);
    return where.traddr + " " + where.trsvcid;
  };
  EXPECT_EQ(form("127.0.0.1:4421"), "127.0.0.1 4421");
  EXPECT_EQ(form("0.0.0.0"), "0.0.0.0 4420");
  EXPECT_EQ(form(":0"), "127.0.0.1 0");
  EXPECT_EQ(form("[::1]:4422"), "::1 4422");
  EXPECT_EQ(form("::1"), "::1 4420");
  EXPECT_EQ(form("trtype:TCP traddr:192.0.2.7"), "192.0.2.7 4420");
  for (const char* wrong : {"127.0.0.1:x", "127.0.0.1:70000", "trtype:PCIe traddr:0000:01:00.0"}) {
    EXPECT_THROW(listen_address(wrong), Failure) << wrong;
  }
}

TEST(ServePlan, DevicesBecomeNamespacesOfOneSubsystem) {
  ServeOptions options;
  options.devices = {"malloc:1MiB", "null:1GiB"};
  options.listen = {"127.0.0.1:0"};
  options.hosts = {"nqn.2026-11.io.spdkio:friend"};
  DevicePlan devices;
  const Json config = serve_config(options, devices);
  ASSERT_EQ(config["subsystems"].size(), 2u);
  EXPECT_EQ(config["subsystems"][0]["subsystem"], "bdev");
  EXPECT_EQ(config["subsystems"][1]["subsystem"], "nvmf");
  std::vector<std::string> methods;
  for (const Json& call : config["subsystems"][1]["config"]) methods.push_back(call["method"]);
  EXPECT_EQ(methods, (std::vector<std::string>{"nvmf_create_transport", "nvmf_create_subsystem",
                                               "nvmf_subsystem_add_host", "nvmf_subsystem_add_ns",
                                               "nvmf_subsystem_add_ns", "nvmf_subsystem_add_listener"}));
  EXPECT_EQ(config["subsystems"][1]["config"][1]["params"]["allow_any_host"], false);
}

TEST(ServePlan, AFileKeepsItsUuid) {
  const auto uuid_of = [](const char* device) {
    ServeOptions options;
    options.devices = {device};
    DevicePlan devices;
    const Json ns = serve_config(options, devices)["subsystems"][1]["config"][2]["params"]["namespace"];
    return ns.value("uuid", std::string());
  };
  EXPECT_EQ(uuid_of("/tmp/a.img"), uuid_of("file:/tmp/./a.img"));
  EXPECT_NE(uuid_of("/tmp/a.img"), uuid_of("/tmp/b.img"));
  EXPECT_EQ(Uuid::parse(uuid_of("/tmp/a.img")).bytes[6] >> 4, 8);
  EXPECT_EQ(uuid_of("file:/tmp/a.img,uuid=5f8a2f5c-0000-4000-8000-000000000001"), "") << "the device brings its own";
  EXPECT_EQ(uuid_of("malloc:1MiB"), "");
}

TEST(ServePlan, ASubsystemForEachDevice) {
  ServeOptions options;
  options.devices = {"malloc:1MiB", "null:1GiB"};
  options.one_subsystem_each = true;
  DevicePlan devices;
  const Json config = serve_config(options, devices);
  const Json& calls = config["subsystems"][1]["config"];
  EXPECT_EQ(calls[1]["params"]["nqn"], options.nqn + "0");
  EXPECT_EQ(calls[4]["params"]["nqn"], options.nqn + "1");
  EXPECT_EQ(calls[5]["params"]["namespace"]["bdev_name"], "null0");
}

}  // namespace
}  // namespace spdkio::tool
