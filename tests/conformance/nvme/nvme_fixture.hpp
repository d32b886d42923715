// What the NVMe conformance tests share: the engine under test, a target, and controllers that connect to it.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../nvme/target_fixture.hpp"

namespace spdkio::conformance {

using namespace std::chrono_literals;
using nvme_test::equal;
using nvme_test::fill_random;

/// Names a target that runs elsewhere: a TransportId with a subsystem that admits every host, whose namespace 1 has at
/// least `disk_blocks` blocks of 512 bytes and nothing worth keeping.
inline constexpr const char* external_variable = "SPDKIO_CONFORMANCE_NVME_TARGET";
inline constexpr const char* conformance_nqn = "nqn.2026-11.io.spdkio:conformance";
inline constexpr std::uint64_t disk_blocks = nvme_test::target_disk_blocks;

inline std::vector<std::string> nvme_targets() {
  std::vector<std::string> targets{"Ours"};
  const char* const engine = std::getenv("SPDKIO_ENGINE");
  if (engine != nullptr && std::string_view(engine) == "spdk") targets.emplace_back("Spdks");
  if (std::getenv(external_variable) != nullptr) targets.emplace_back("External");
  return targets;
}

/// The parameter is which target: this library's, in this process and on the same reactor as the initiator, SPDK's own
/// in this process, or another.
class NvmeConformance : public nvme_test::TargetTest, public ::testing::WithParamInterface<std::string> {
 protected:
  void SetUp() override {
    start_home("nvme-conformance");
    if (GetParam() == "External") {
      address_ = nvme::TransportId::parse(std::getenv(external_variable));
    } else {
      const nvmf::Provider provider = GetParam() == "Spdks" ? nvmf::Provider::engine : nvmf::Provider::library;
      on_home([&]() -> Task<> { return start_target(conformance_nqn, provider); });
    }
  }
  void TearDown() override {
    if (target_) {
      on_home([this]() -> Task<> {
        auto stopping = stop_target();
        co_await std::move(stopping);
        auto removing = bdev::delete_malloc("Malloc0");
        co_await std::move(removing);
      });
    }
    end_home();
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
};

}  // namespace spdkio::conformance
