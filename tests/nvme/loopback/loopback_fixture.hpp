// A target and controllers of this library on one Thread of this process.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "../target_fixture.hpp"

namespace spdkio::loopback {

using namespace std::chrono_literals;
using nvme_test::equal;
using nvme_test::fill_random;

inline constexpr const char* subnqn = "nqn.2026-11.io.spdkio:loopback";

class LoopbackTest : public nvme_test::TargetTest {
 protected:
  void SetUp() override {
    start_home("loopback");
    on_home([this]() -> Task<> { return start_target(subnqn); });
  }
  void TearDown() override {
    on_home([this]() -> Task<> {
      auto stopping = stop_target();
      co_await std::move(stopping);
      auto removing = bdev::delete_malloc("Malloc0");
      co_await as_result(std::move(removing));
    });
    end_home();
  }
  /// A RAM disk as a further namespace; gives its number.
  Task<std::uint32_t> add_disk(std::string name, std::uint64_t blocks) {
    bdev::MallocOptions disk;
    disk.name = name;
    disk.num_blocks = blocks;
    auto making = bdev::create_malloc(disk);
    co_await std::move(making);
    auto showing = subsystem_->add_namespace(name);
    co_return co_await std::move(showing);
  }
};

}  // namespace spdkio::loopback
