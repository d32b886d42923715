// What the tests of this folder share: an engine with reactors, and a target on a Thread of it.
#pragma once

#include <spdkio/app/env.hpp>
#include <spdkio/bdev/bdev.hpp>
#include <spdkio/bdev/service.hpp>
#include <spdkio/bdev_modules/delay.hpp>
#include <spdkio/bdev_modules/malloc.hpp>
#include <spdkio/bdev_modules/null.hpp>
#include <spdkio/nvmf/target.hpp>
#include <spdkio/runtime/block_on.hpp>
#include <spdkio/spec/identify.hpp>
#include <spdkio/spec/nvm_command.hpp>
#include <spdkio/spec/registers.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "nvmf/test_host.hpp"

namespace spdkio::nvmf::test {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

inline const std::string subnqn = "nqn.2026-11.io.spdkio:test";

inline Bytes pattern(std::size_t size, unsigned seed = 1) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>((i * 31 + i / 251 + seed * 101) & 0xFF);
  return bytes;
}

class TargetTest : public ::testing::Test {
 protected:
  /// Runs a function, or the task that it gives, on the target's Thread.
  template <class F>
  auto on_home(F fn) {
    return block_on(home_->handle().call(moved(std::move(fn))));
  }

  void SetUp() override { start({}); }

  void start(const TransportOptions& transport, const std::string& cores = {}) {
    if (env_) stop();
    env_.emplace(
        Env::start({.name = "nvmf_test", .core_mask = cores, .no_pci = true, .no_huge = true, .reactors = true}));
    home_.emplace(Thread::create("home"));
    target_ = on_home([] {
      TargetOptions options;
      options.provider = Provider::library;
      return Target::create(options);
    });
    on_home([&] { return target_->add_transport(Transport::tcp(transport)); });
    make_malloc("M0", 8192);
    SubsystemOptions options;
    options.allow_any_host = true;
    subsystem_ = on_home([&] { return target_->create_subsystem(subnqn, options); });
    on_home([&] { return subsystem_->start(); });
    on_home([&] { return subsystem_->add_namespace("M0"); });
    const nvme::TransportId where = nvme::TransportId::tcp("127.0.0.1", 0);
    listener_ = on_home([&] { return subsystem_->add_listener(where); });
    port_ = listener_.port();
  }
  void stop() {
    if (!env_) return;
    if (target_ && target_->state() != nullptr) {
      on_home([&] { return target_->destroy(); });
    }
    subsystem_.reset();
    target_.reset();
    home_->close();
    home_.reset();
    env_.reset();
  }
  void TearDown() override { stop(); }

  void make_malloc(std::string name, std::uint64_t blocks, std::uint32_t block_size = 512) {
    on_home([name, blocks, block_size]() -> Task<Bdev> { return create_malloc_named(name, blocks, block_size); });
  }
  static Task<Bdev> create_malloc_named(std::string name, std::uint64_t blocks, std::uint32_t block_size) {
    bdev::MallocOptions options;
    options.name = name;
    options.num_blocks = blocks;
    options.block_size = block_size;
    auto creating = bdev::create_malloc(options);
    co_return co_await std::move(creating);
  }

  /// An admin connection to a controller that is enabled.
  RawHost admin(std::uint8_t digests = 0, const std::string& nqn = subnqn, std::uint32_t kato = 0) {
    RawHost host(port_);
    const auto answer = host.handshake(digests);
    EXPECT_TRUE(answer && answer->type() == spec::tcp::PduType::ic_resp);
    const Answer connected = host.connect_queue(0, 31, 0xFFFF, nqn, RawHost::default_hostnqn, kato);
    EXPECT_TRUE(connected.status().ok()) << connected.status().describe();
    cntlid_ = spec::fabrics::connect_cntlid(connected.completion);
    EXPECT_TRUE(host.set_property(spec::fabrics::property::cc, spec::Configuration::enable(0).value).status().ok());
    EXPECT_EQ(host.property(spec::fabrics::property::csts), 1u);
    return host;
  }
  /// An I/O connection to the controller that `admin` made last.
  RawHost io(std::uint16_t qid = 1, std::uint8_t digests = 0, std::uint16_t sqsize = 127) {
    RawHost host(port_);
    EXPECT_TRUE(host.handshake(digests));
    const Answer connected = host.connect_queue(qid, sqsize, cntlid_, subnqn);
    EXPECT_TRUE(connected.status().ok()) << connected.status().describe();
    return host;
  }
  static Answer identify(RawHost& host, spec::Cns cns, std::uint32_t nsid = 0) {
    return host.run(spec::identify_command(cns, nsid), {}, 4096);
  }
  static spec::Command read(std::uint64_t lba, std::uint64_t blocks, std::uint32_t nsid = 1) {
    return spec::nvm::read(nsid, {Lba{lba}, BlockCount{blocks}});
  }
  static spec::Command write(std::uint64_t lba, std::uint64_t blocks, std::uint32_t nsid = 1) {
    return spec::nvm::write(nsid, {Lba{lba}, BlockCount{blocks}});
  }
  static spec::Command ranged(spec::NvmOpcode opcode, std::uint64_t lba, std::uint64_t blocks) {
    return spec::nvm::ranged(opcode, 1, {Lba{lba}, BlockCount{blocks}});
  }

  std::optional<Env> env_;
  std::optional<Thread> home_;
  std::optional<Target> target_;
  std::optional<Subsystem> subsystem_;
  nvme::TransportId listener_;
  std::uint16_t port_ = 0;
  std::uint16_t cntlid_ = 0;
};

}  // namespace spdkio::nvmf::test
