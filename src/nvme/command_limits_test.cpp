// Limits of commands without data, beside MDTS: Identify Controller of the NVM command set.
#include <spdkio/spec/fabrics.hpp>
#include <spdkio/spec/identify.hpp>
#include <spdkio/spec/identify_namespace.hpp>
#include <spdkio/spec/nvm_command.hpp>
#include <spdkio/spec/opcodes.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <mutex>
#include <span>
#include <vector>

#include "nvme/test_support.hpp"

namespace spdkio::nvme::test {
namespace {

class CommandLimitsTest : public NvmeTest {
 protected:
  /// A controller of version 2 that says `limits`, and notes what reaches it.
  void say(FakeTarget& target, const spec::IdentifyControllerNvm& limits) {
    target.set_hook([this, limits](FakeConnection& connection, const spec::Command& command) {
      if (connection.qid() != 0) {
        const std::lock_guard lock(mutex_);
        commands_.push_back(command);
        return false;
      }
      if (command.opcode == spec::fabrics::opcode) {
        const auto get = std::bit_cast<spec::fabrics::PropertyGetCommand>(command);
        if (get.fctype != spec::fabrics::CommandType::property_get || get.offset != spec::fabrics::property::vs) {
          return false;
        }
        connection.respond(command, 0x00020000);
        return true;
      }
      if (command.opcode != spec::raw(spec::AdminOpcode::identify) ||
          (command.cdw10.value() & 0xFF) != static_cast<std::uint32_t>(spec::Cns::command_set_controller)) {
        return false;
      }
      connection.send_data(command, std::as_bytes(std::span(&limits, 1)), false);
      connection.respond(command);
      return true;
    });
  }
  /// Those of an opcode since the last time.
  std::vector<spec::Command> taken(spec::NvmOpcode opcode) {
    const std::lock_guard lock(mutex_);
    std::vector<spec::Command> taken;
    for (const spec::Command& command : commands_) {
      if (command.opcode == spec::raw(opcode)) taken.push_back(command);
    }
    commands_.clear();
    return taken;
  }

  std::mutex mutex_;
  std::vector<spec::Command> commands_;
};

TEST_F(CommandLimitsTest, LongRangesAreCut) {
  FakeTarget target;
  spec::IdentifyControllerNvm limits;
  limits.wzsl = 3;  // 32 KiB: 64 blocks
  limits.dmrl = 2;
  limits.dmrsl = 100u;
  limits.dmsl = 150u;
  say(target, limits);
  with_controller(target, {}, [&](Controller&, Qpair& qpair, Namespace ns) -> Task<> {
    auto zeroing = ns.write_zeroes(qpair, {Lba{0}, BlockCount{150}});
    co_await zeroing;
    const auto zeroes = taken(spec::NvmOpcode::write_zeroes);
    EXPECT_EQ(zeroes.size(), 3u);
    if (zeroes.size() != 3) co_return;
    EXPECT_EQ(zeroes[0].cdw12.value() & 0xFFFF, 63u);
    EXPECT_EQ(zeroes[2].cdw10_11(), 128u);
    EXPECT_EQ(zeroes[2].cdw12.value() & 0xFFFF, 21u);

    // 250 blocks, which the target's memory shows to be all of them.
    DmaBuf ones(250 * 512);
    ones.fill(std::byte{0xFF});
    auto writing = ns.write(qpair, ones, {Lba{0}, BlockCount{250}});
    co_await writing;
    taken(spec::NvmOpcode::write);
    auto deallocating = ns.deallocate(qpair, LbaRange{Lba{0}, BlockCount{249}});
    co_await deallocating;
    EXPECT_EQ(taken(spec::NvmOpcode::dataset_management).size(), 3u);
    DmaBuf back(250 * 512);
    auto reading = ns.read(qpair, back, {Lba{0}, BlockCount{250}});
    co_await reading;
    EXPECT_EQ(std::ranges::count(back.bytes(), std::byte{0xFF}), 512) << "the last block, and nothing else";

    // 30 + 30 | 30 + 100 | 20: two ranges at most, 150 blocks at most, 100 in a range at most.
    auto writing_again = ns.write(qpair, ones, {Lba{0}, BlockCount{250}});
    co_await writing_again;
    taken(spec::NvmOpcode::write);
    const std::array<LbaRange, 4> ranges{LbaRange{Lba{0}, BlockCount{30}}, LbaRange{Lba{30}, BlockCount{30}},
                                         LbaRange{Lba{60}, BlockCount{30}}, LbaRange{Lba{90}, BlockCount{120}}};
    auto several = ns.deallocate(qpair, ranges);
    co_await std::move(several);
    const auto managements = taken(spec::NvmOpcode::dataset_management);
    EXPECT_EQ(managements.size(), 3u);
    if (managements.size() != 3) co_return;
    EXPECT_EQ(managements[0].cdw10.value() & 0xFF, 1u) << "two ranges";
    EXPECT_EQ(managements[1].cdw10.value() & 0xFF, 1u);
    EXPECT_EQ(managements[2].cdw10.value() & 0xFF, 0u);
    auto reading_again = ns.read(qpair, back, {Lba{0}, BlockCount{250}});
    co_await reading_again;
    EXPECT_EQ(std::ranges::count(back.bytes(), std::byte{0xFF}), 40 * 512);
  });
}

TEST_F(CommandLimitsTest, WithoutThePageThereAreNone) {
  FakeTarget target;  // of version 1.4
  target.set_hook([this](FakeConnection& connection, const spec::Command& command) {
    const std::lock_guard lock(mutex_);
    if (connection.qid() != 0) commands_.push_back(command);
    return false;
  });
  with_controller(target, {}, [&](Controller&, Qpair& qpair, Namespace ns) -> Task<> {
    auto zeroing = ns.write_zeroes(qpair, {Lba{0}, ns.num_blocks()});
    co_await zeroing;
    EXPECT_EQ(taken(spec::NvmOpcode::write_zeroes).size(), 1u);
    auto deallocating = ns.deallocate(qpair, LbaRange{Lba{0}, ns.num_blocks()});
    co_await deallocating;
    EXPECT_EQ(taken(spec::NvmOpcode::dataset_management).size(), 1u);
  });
}

}  // namespace
}  // namespace spdkio::nvme::test
