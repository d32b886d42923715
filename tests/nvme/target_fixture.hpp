// What tests of the initiator share: a Thread for it, a target with one RAM disk, and controllers that connect to it.
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
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>

namespace spdkio::nvme_test {

inline constexpr std::uint64_t target_disk_blocks = 16384;

inline void fill_random(DmaSpan buffer, std::uint64_t seed) {
  std::minstd_rand random(static_cast<unsigned>(seed + 1));
  for (std::byte& byte : buffer.bytes()) byte = static_cast<std::byte>(random() >> 8);
}

inline bool equal(DmaSpan a, DmaSpan b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}

/// Names whose target the tests make: "engine" for the engine's own, otherwise the library's.
inline constexpr const char* provider_variable = "SPDKIO_TEST_NVMF_TARGET";
inline nvmf::Provider provider_asked_for() {
  const char* const asked = std::getenv(provider_variable);
  return asked != nullptr && std::string_view(asked) == "engine" ? nvmf::Provider::engine : nvmf::Provider::library;
}

class TargetTest : public ::testing::Test {
 protected:
  void start_home(const char* name) {
    env_.emplace(Env::start({.name = name, .no_pci = true, .no_huge = true, .reactors = true}));
    home_.emplace(Thread::create("home"));
  }
  void end_home() {
    home_->close();
    home_.reset();
    env_.reset();
  }
  /// Shows the RAM disk Malloc0 to every host as namespace 1 of `nqn`, at `address_`.
  Task<> start_target(std::string nqn, nvmf::Provider provider = provider_asked_for()) {
    nvmf::TargetOptions target_options;
    target_options.provider = provider;
    auto creating = nvmf::Target::create(target_options);
    target_.emplace(co_await std::move(creating));
    auto adding = target_->add_transport(nvmf::Transport::tcp());
    co_await std::move(adding);
    bdev::MallocOptions disk;
    disk.name = "Malloc0";
    disk.num_blocks = target_disk_blocks;
    auto making = bdev::create_malloc(disk);
    co_await std::move(making);
    nvmf::SubsystemOptions options;
    options.allow_any_host = true;
    auto making_subsystem = target_->create_subsystem(nqn, options);
    subsystem_.emplace(co_await std::move(making_subsystem));
    auto showing = subsystem_->add_namespace("Malloc0");
    co_await std::move(showing);
    auto listening = subsystem_->add_listener(nvme::TransportId::tcp("127.0.0.1", 0));
    address_ = co_await std::move(listening);
    address_.subnqn = nqn;
    auto starting = subsystem_->start();
    co_await std::move(starting);
  }
  /// The RAM disk stays.
  Task<> stop_target() {
    subsystem_.reset();
    auto ending = target_->destroy();
    co_await std::move(ending);
    target_.reset();
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

  std::optional<Env> env_;
  std::optional<Thread> home_;
  std::optional<nvmf::Target> target_;
  std::optional<nvmf::Subsystem> subsystem_;
  nvme::TransportId address_;
};

}  // namespace spdkio::nvme_test
