// What the NVMe conformance tests share: the engine under test, a target, and controllers that connect to it.
#pragma once

#include <spdkio/app/env.hpp>
#include <spdkio/bdev_modules/malloc.hpp>
#include <spdkio/nvme/controller.hpp>
#include <spdkio/nvmf/target.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/block_on.hpp>
#include <spdkio/runtime/thread.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace spdkio::conformance {

using namespace std::chrono_literals;

/// Names a target that runs elsewhere: a TransportId with a subsystem that admits every host, whose namespace 1 has at
/// least `disk_blocks` blocks of 512 bytes and nothing worth keeping.
inline constexpr const char* external_variable = "SPDKIO_CONFORMANCE_NVME_TARGET";
inline constexpr const char* conformance_nqn = "nqn.2026-11.io.spdkio:conformance";
inline constexpr std::uint64_t disk_blocks = 16384;

inline std::vector<std::string> nvme_targets() {
  std::vector<std::string> targets{"Ours"};
  if (std::getenv(external_variable) != nullptr) targets.emplace_back("External");
  return targets;
}

inline void fill_random(DmaSpan buffer, std::uint64_t seed) {
  std::minstd_rand random(static_cast<unsigned>(seed + 1));
  for (std::byte& byte : buffer.bytes()) byte = static_cast<std::byte>(random() >> 8);
}

inline bool equal(DmaSpan a, DmaSpan b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}

/// The parameter is which target: this library's, in this process and on the same reactor as the initiator, or another.
class NvmeConformance : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    env_.emplace(Env::start({.name = "nvme-conformance", .no_pci = true, .no_huge = true, .reactors = true}));
    home_.emplace(Thread::create("home"));
    if (GetParam() == "External") {
      address_ = nvme::TransportId::parse(std::getenv(external_variable));
    } else {
      on_home([this]() -> Task<> { return start_target(); });
    }
  }
  void TearDown() override {
    if (target_) {
      on_home([this]() -> Task<> { return stop_target(); });
    }
    home_->close();
    home_.reset();
    env_.reset();
  }

  /// Runs the coroutine function on the home Thread; what it throws fails the test.
  template <class F>
  void on_home(F body) {
    auto running = [](ThreadHandle home, F& fn) -> Task<> {
      auto calling = home.call(fn);
      co_await std::move(calling);
    };
    try {
      block_on(running(home_->handle(), body));
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
  }
  /// Connects with `options`, runs `body(controller, qpair, ns)`, detaches; on the home Thread.
  template <class F>
  void with_controller(const nvme::ControllerOptions& options, F body) {
    on_home([&]() -> Task<> {
      auto connecting = nvme::Controller::connect(address_, options);
      nvme::Controller controller = co_await std::move(connecting);
      {
        auto allocating = controller.alloc_io_qpair();
        nvme::Qpair qpair = co_await std::move(allocating);
        const nvme::Namespace ns = controller.ns(1);
        auto running = body(controller, qpair, ns);
        co_await std::move(running);
        auto closing = qpair.close();
        co_await std::move(closing);
      }
      auto detaching = controller.detach();
      co_await std::move(detaching);
    });
  }
  /// Writes blocks that only `seed` gives, and reads them back.
  static Task<> round_trip(nvme::Namespace ns, const nvme::Qpair& qpair, LbaRange range, std::uint64_t seed) {
    const DmaBuf written(ns.bytes(range.count));
    const DmaBuf read(ns.bytes(range.count));
    fill_random(written, seed);
    auto writing = ns.write(qpair, written, range);
    co_await writing;
    auto reading = ns.read(qpair, read, range);
    co_await reading;
    EXPECT_TRUE(equal(written, read)) << "blocks from " << range.first.value;
  }

  std::optional<Env> env_;
  std::optional<Thread> home_;
  std::optional<nvmf::Target> target_;
  std::optional<nvmf::Subsystem> subsystem_;
  nvme::TransportId address_;

 private:
  Task<> start_target() {
    auto creating = nvmf::Target::create();
    target_.emplace(co_await std::move(creating));
    auto adding = target_->add_transport(nvmf::Transport::tcp());
    co_await std::move(adding);
    bdev::MallocOptions disk;
    disk.name = "Malloc0";
    disk.num_blocks = disk_blocks;
    auto making = bdev::create_malloc(disk);
    co_await std::move(making);
    nvmf::SubsystemOptions options;
    options.allow_any_host = true;
    auto making_subsystem = target_->create_subsystem(conformance_nqn, options);
    subsystem_.emplace(co_await std::move(making_subsystem));
    auto showing = subsystem_->add_namespace("Malloc0");
    co_await std::move(showing);
    auto listening = subsystem_->add_listener(nvme::TransportId::tcp("127.0.0.1", 0));
    address_ = co_await std::move(listening);
    address_.subnqn = conformance_nqn;
    auto starting = subsystem_->start();
    co_await std::move(starting);
  }
  Task<> stop_target() {
    subsystem_.reset();
    auto ending = target_->destroy();
    co_await std::move(ending);
    target_.reset();
    auto removing = bdev::delete_malloc("Malloc0");
    co_await std::move(removing);
  }
};

}  // namespace spdkio::conformance
