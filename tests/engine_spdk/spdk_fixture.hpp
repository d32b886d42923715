// What the tests of the spdk engine share: the engine, and SPDK's own methods.
#pragma once

#include <spdkio/rpc/json.hpp>
#include <spdkio/runtime/scope.hpp>

#include <string>
#include <utility>

#include "../conformance/bdev/conformance_fixture.hpp"

namespace spdkio::spdk_test {

using namespace conformance;

/// An SPDK method, answered by SPDK itself.
inline Task<Json> call_spdk(std::string method, Json params) {
  auto asked = engine::Engine::current().methods()->call(std::move(method), std::move(params));
  co_return co_await std::move(asked);
}

/// The engine's name comes first: the rest is worth nothing on another.
class SpdkTest : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    ASSERT_EQ(env_->engine().name(), "spdk") << "run it with SPDKIO_ENGINE=spdk";
  }

  /// Calls it and gives its answer; a refusal fails the test.
  static Json ask(const std::string& method, Json params) {
    auto answer = run(call_spdk(method, std::move(params)));
    if (!answer) {
      ADD_FAILURE() << method << ": " << answer.error().what();
      return {};
    }
    return std::move(*answer);
  }
  static void make_malloc(const std::string& name, std::uint64_t num_blocks = device_blocks) {
    ask("bdev_malloc_create", {{"name", name}, {"num_blocks", num_blocks}, {"block_size", 512}});
  }
  static void make_null(const std::string& name, std::uint64_t num_blocks) {
    ask("bdev_null_create", {{"name", name}, {"num_blocks", num_blocks}, {"block_size", 512}});
  }
  /// `latency` for every operation.
  static void make_delay(const std::string& name, const std::string& base, std::chrono::microseconds latency) {
    const auto us = static_cast<std::uint64_t>(latency.count());
    ask("bdev_delay_create", {{"name", name},
                              {"base_bdev_name", base},
                              {"avg_read_latency", us},
                              {"p99_read_latency", us},
                              {"avg_write_latency", us},
                              {"p99_write_latency", us}});
  }
};

/// A device that is open, with a channel; closed in order at the end of its life.
class Open {
 public:
  explicit Open(std::string_view name, Access access = Access::read_write)
      : desc(block_on(BdevDesc::open(name, access))), channel(desc.io_channel()) {}
  Open(const Open&) = delete;
  Open& operator=(const Open&) = delete;
  ~Open() {
    channel.close();
    block_on(desc.close());
  }

  BdevDesc desc;
  IoChannel channel;
};

}  // namespace spdkio::spdk_test
