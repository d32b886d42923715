#include <spdkio/nvmf/rpc.hpp>
#include <spdkio/rpc/dispatcher.hpp>
#include <spdkio/rpc/error.hpp>
#include <spdkio/spec/fabrics.hpp>

#include "nvmf/test_fixture.hpp"

namespace spdkio::nvmf::test {
namespace {

class NvmfRpc : public ::testing::Test {
 protected:
  template <class F>
  auto on_home(F fn) {
    return block_on(home_->handle().call(moved(std::move(fn))));
  }
  void SetUp() override {
    env_.emplace(Env::start({.name = "nvmf_rpc", .no_pci = true, .no_huge = true, .reactors = true}));
    home_.emplace(Thread::create("home"));
    register_methods(table_);
    on_home([] {
      bdev::MallocOptions options;
      options.name = "M0";
      options.num_blocks = 2048;
      return bdev::create_malloc(options);
    });
  }
  void TearDown() override {
    on_home([] { return destroy_all_targets(); });
    home_->close();
    home_.reset();
    env_.reset();
  }
  Json call(const std::string& method, const Json& params = nullptr) {
    return on_home([&] { return dispatcher_.call(method, params); });
  }
  int refused(const std::string& method, const Json& params) {
    try {
      call(method, params);
    } catch (const rpc::RpcError& error) {
      return error.code();
    }
    return 0;
  }
  static Json address(const std::string& port = "0") {
    return {{"trtype", "TCP"}, {"adrfam", "IPv4"}, {"traddr", "127.0.0.1"}, {"trsvcid", port}};
  }
  void make_subsystem() {
    call("nvmf_create_transport", {{"trtype", "tcp"}, {"in_capsule_data_size", 8192}});
    call("nvmf_create_subsystem", {{"nqn", subnqn}, {"serial_number", "S1"}, {"model_number", "M"}});
    call("nvmf_subsystem_add_host", {{"nqn", subnqn}, {"host", RawHost::default_hostnqn}});
    const Json ns = {{"bdev_name", "M0"}, {"nsid", 3}, {"nguid", "00112233445566778899AABBCCDDEEFF"}};
    EXPECT_EQ(call("nvmf_subsystem_add_ns", {{"nqn", subnqn}, {"namespace", ns}}), 3);
    call("nvmf_subsystem_add_listener", {{"nqn", subnqn}, {"listen_address", address()}});
  }
  std::uint16_t port() {
    const Json listeners = call("nvmf_subsystem_get_listeners", {{"nqn", subnqn}});
    return static_cast<std::uint16_t>(std::stoi(listeners[0]["address"]["trsvcid"].get<std::string>()));
  }

  std::optional<Env> env_;
  std::optional<Thread> home_;
  rpc::MethodTable table_;
  rpc::Dispatcher dispatcher_{table_};
};

TEST_F(NvmfRpc, MakesWhatHostsConnectTo) {
  make_subsystem();
  RawHost host(port());
  ASSERT_TRUE(host.handshake());
  ASSERT_TRUE(host.connect_queue(0, 31, 0xFFFF, subnqn).status().ok());

  const Json subsystems = call("nvmf_get_subsystems");
  ASSERT_EQ(subsystems.size(), 2u);
  EXPECT_EQ(subsystems[0]["subtype"], "Discovery");
  const Json& one = subsystems[1];
  EXPECT_EQ(one["nqn"], subnqn);
  EXPECT_EQ(one["subtype"], "NVMe");
  EXPECT_EQ(one["serial_number"], "S1");
  EXPECT_EQ(one["allow_any_host"], false);
  EXPECT_EQ(one["hosts"][0]["nqn"], RawHost::default_hostnqn);
  EXPECT_EQ(one["namespaces"][0]["nsid"], 3);
  EXPECT_EQ(one["namespaces"][0]["nguid"], "00112233445566778899AABBCCDDEEFF");
  EXPECT_EQ(one["listen_addresses"][0]["trtype"], "TCP");
  EXPECT_EQ(call("nvmf_subsystem_get_controllers", {{"nqn", subnqn}})[0]["hostnqn"], RawHost::default_hostnqn);
  EXPECT_EQ(call("nvmf_subsystem_get_qpairs", {{"nqn", subnqn}})[0]["qid"], 0);
  EXPECT_EQ(call("nvmf_get_stats")["poll_groups"][0]["current_admin_qpairs"], 1);
  EXPECT_EQ(call("nvmf_get_transports")[0]["in_capsule_data_size"], 8192);
  EXPECT_EQ(call("nvmf_get_targets"), Json::array({"nvmf_tgt"}));

  EXPECT_EQ(call("nvmf_subsystem_remove_ns", {{"nqn", subnqn}, {"nsid", 3}}), true);
  EXPECT_EQ(call("nvmf_delete_subsystem", {{"nqn", subnqn}}), true);
  EXPECT_TRUE(host.closed_by_target());
}

TEST_F(NvmfRpc, Referrals) {
  const Json there = {{"trtype", "tcp"}, {"adrfam", "ipv4"}, {"traddr", "192.0.2.1"}, {"trsvcid", "8009"}};
  EXPECT_EQ(call("nvmf_discovery_get_referrals"), Json::array());
  EXPECT_EQ(call("nvmf_discovery_add_referral", {{"address", there}, {"secure_channel", true}}), true);
  const Json listed = call("nvmf_discovery_get_referrals");
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0]["address"]["traddr"], "192.0.2.1");
  EXPECT_EQ(listed[0]["address"]["trtype"], "TCP");
  EXPECT_EQ(listed[0]["secure_channel"], true);
  EXPECT_EQ(listed[0]["subnqn"], spec::fabrics::discovery_nqn);
  EXPECT_EQ(refused("nvmf_discovery_add_referral", {{"address", there}}), -EEXIST);
  EXPECT_EQ(refused("nvmf_discovery_add_referral", {{"address", address()}, {"allow_any_host", false}}), -32602);
  const Json elsewhere = {{"address", there}, {"subnqn", "nqn.2026-11.io.spdkio:none"}};
  EXPECT_EQ(refused("nvmf_discovery_remove_referral", elsewhere), -ENOENT);
  const Json saved = on_home([] { return config(); });
  EXPECT_EQ(saved.back()["method"], "nvmf_discovery_add_referral");
  EXPECT_EQ(call("nvmf_discovery_remove_referral", {{"address", there}}), true);
  EXPECT_EQ(call("nvmf_discovery_get_referrals"), Json::array());
  call("nvmf_discovery_add_referral", saved.back()["params"]);
  EXPECT_EQ(call("nvmf_discovery_get_referrals"), listed);
}

TEST_F(NvmfRpc, ConfigurationMakesItAgain) {
  make_subsystem();
  const Json saved = on_home([] { return config(); });
  const Json before = call("nvmf_get_subsystems");
  call("nvmf_delete_target", {{"name", "nvmf_tgt"}});
  EXPECT_EQ(call("nvmf_get_targets"), Json::array());
  for (const Json& one : saved) call(one["method"].get<std::string>(), one["params"]);
  EXPECT_EQ(call("nvmf_get_subsystems"), before);
  EXPECT_EQ(on_home([] { return config(); }), saved);
}

TEST_F(NvmfRpc, MistakesAreNamed) {
  EXPECT_EQ(refused("nvmf_create_transport", {{"trtype", "RDMA"}}), -32602);
  EXPECT_EQ(refused("nvmf_create_transport", {{"trtype", "TCP"}, {"max_io_size", 100000}}), -EINVAL);
  EXPECT_EQ(refused("nvmf_create_subsystem", {{"nqn", "disk"}}), -EINVAL);
  EXPECT_EQ(refused("nvmf_create_subsystem", {{"nqn", subnqn}, {"tgt_name", "none"}}), -ENODEV);
  EXPECT_EQ(refused("nvmf_subsystem_add_listener", {{"nqn", subnqn}, {"listen_address", address()}}), -ENOENT);
  make_subsystem();
  EXPECT_EQ(refused("nvmf_create_transport", {{"trtype", "TCP"}}), -EEXIST);
  EXPECT_EQ(refused("nvmf_create_subsystem", {{"nqn", subnqn}}), -EEXIST);
  const Json ns = {{"bdev_name", "none"}};
  EXPECT_EQ(refused("nvmf_subsystem_add_ns", {{"nqn", subnqn}, {"namespace", ns}}), -ENODEV);
  const Json odd = {{"bdev_name", "M0"}, {"eui64", "12"}};
  EXPECT_EQ(refused("nvmf_subsystem_add_ns", {{"nqn", subnqn}, {"namespace", odd}}), -EINVAL);
  EXPECT_EQ(refused("nvmf_subsystem_remove_ns", {{"nqn", subnqn}, {"nsid", 9}}), -ENOENT);
  EXPECT_EQ(refused("nvmf_subsystem_add_host", {{"nqn", subnqn}, {"host", RawHost::default_hostnqn}, {"psk", "k"}}),
            -32602);
  EXPECT_EQ(refused("nvmf_delete_subsystem", {{"nqn", spec::fabrics::discovery_nqn}}), -EPERM);
}

}  // namespace
}  // namespace spdkio::nvmf::test
