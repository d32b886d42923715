// What the tests of this folder share: an engine's memory, a Thread, and tasks that run on it.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/nvme/controller.hpp>
#include <spdkio/runtime/block_on.hpp>
#include <spdkio/runtime/thread.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "engine/fake_engine.hpp"
#include "nvme/test_target.hpp"

namespace spdkio::nvme::test {

using namespace std::chrono_literals;

/// An engine that is nothing but memory, an attached Thread, and the log kept as text.
class NvmeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    engine_.emplace();
    thread_.emplace(Thread::attach("test"));
    log::set_sink([this](log::Level, std::string_view text) {
      const std::lock_guard lock(log_mutex_);
      log_ += std::string(text) + "\n";
    });
  }
  void TearDown() override {
    thread_->close();
    thread_.reset();
    engine_.reset();
    log::set_sink({});
  }
  std::string log_text() {
    const std::lock_guard lock(log_mutex_);
    return log_;
  }

  /// Runs the coroutine function `body` to its end; what it throws fails the test.
  template <class F>
  void run(F body) {
    try {
      block_on(body());
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what() << "\nlog:\n" << log_text();
    }
  }
  /// Connects, runs `body(controller, qpair, ns)`, detaches.
  template <class F>
  void with_controller(FakeTarget& target, ControllerOptions options, F body) {
    run([&]() -> Task<> {
      const TransportId id = target.id();
      auto connecting = Controller::connect(id, options);
      Controller controller = co_await std::move(connecting);
      {
        auto allocating = controller.alloc_io_qpair();
        Qpair qpair = co_await std::move(allocating);
        const Namespace ns = controller.ns(1);
        auto running = body(controller, qpair, ns);
        co_await std::move(running);
        auto closing = qpair.close();
        co_await std::move(closing);
      }
      auto detaching = controller.detach();
      co_await std::move(detaching);
    });
  }

  std::optional<engine::FakeEngine> engine_;
  std::optional<Thread> thread_;
  std::mutex log_mutex_;
  std::string log_;
};

/// What `task` fails with; fails the test when it does not.
template <class T>
Error failure_of(Task<T> task) {
  try {
    block_on(std::move(task));
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "expected an Error";
  return Error(std::errc::state_not_recoverable);
}

/// Fills with what only this seed gives.
inline void fill_random(DmaSpan buffer, unsigned seed) {
  std::minstd_rand random(seed + 1);
  for (std::byte& byte : buffer.bytes()) byte = static_cast<std::byte>(random() >> 8);
}

inline bool equal(DmaSpan a, DmaSpan b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace spdkio::nvme::test
