// Commands: the NVM command set, log pages, features, and the statuses of what a controller declines.
#include <spdkio/spec/features.hpp>
#include <spdkio/spec/identify.hpp>
#include <spdkio/spec/nvm_command.hpp>
#include <spdkio/spec/opcodes.hpp>

#include <algorithm>

#include "nvme_fixture.hpp"

namespace spdkio::conformance {
namespace {

class NvmeCommand : public NvmeConformance {};
INSTANTIATE_TEST_SUITE_P(Targets, NvmeCommand, ::testing::ValuesIn(nvme_targets()),
                         [](const auto& one) { return one.param; });

template <class Result>
void expect_status(const Result& result, std::uint8_t sct, std::uint8_t sc) {
  ASSERT_FALSE(result) << "it succeeded";
  ASSERT_TRUE(result.error().nvme_status()) << result.error().what();
  EXPECT_EQ(result.error().nvme_status()->sct, sct) << result.error().what();
  EXPECT_EQ(result.error().nvme_status()->sc, sc) << result.error().what();
}

bool has(const nvme::Controller& controller, std::uint16_t command) {
  return (controller.identify()->oncs & command) != 0;
}

TEST_P(NvmeCommand, WhatTheControllerSaysItHas) {
  with_controller({}, [&](nvme::Controller& controller, nvme::Qpair& qpair, nvme::Namespace ns) -> Task<> {
    const DmaBuf data(4096);
    const DmaBuf other(4096);
    fill_random(data, 1);
    fill_random(other, 2);
    const LbaRange range{Lba{16}, BlockCount{8}};
    auto writing = ns.write(qpair, data, range);
    co_await writing;
    auto flushing = ns.flush(qpair);
    co_await flushing;
    EXPECT_TRUE(has(controller, spec::oncs::compare | spec::oncs::write_zeroes | spec::oncs::dataset_management));
    if (has(controller, spec::oncs::compare)) {
      auto comparing = ns.compare(qpair, data, range);
      co_await comparing;
      auto differing = ns.compare(qpair, other, range);
      const auto differs = co_await as_result(differing);
      expect_status(differs, nvme_sc::compare_failure.sct, nvme_sc::compare_failure.sc);
    }
    if (has(controller, spec::oncs::write_zeroes)) {
      auto zeroing = ns.write_zeroes(qpair, range);
      co_await zeroing;
      const DmaBuf read(4096);
      auto reading = ns.read(qpair, read, range);
      co_await reading;
      EXPECT_EQ(std::ranges::count(read.bytes(), std::byte{0}), 4096);
    }
    if (has(controller, spec::oncs::dataset_management)) {
      auto deallocating = ns.deallocate(qpair, range);
      co_await deallocating;
    }
  });
}

TEST_P(NvmeCommand, CompareAndWriteIsOneStep) {
  with_controller({}, [&](nvme::Controller& controller, nvme::Qpair& qpair, nvme::Namespace ns) -> Task<> {
    EXPECT_NE(controller.identify()->fuses & spec::fuses_compare_and_write, 0);
    const DmaBuf before(512);
    const DmaBuf after(512);
    fill_random(before, 3);
    fill_random(after, 4);
    const LbaRange at{Lba{5}, BlockCount{1}};
    auto writing = ns.write(qpair, before, at);
    co_await writing;
    auto swapping = ns.compare_and_write(qpair, before, after, at);
    co_await std::move(swapping);
    auto failing = ns.compare_and_write(qpair, before, before, at);
    const auto failed = co_await as_result(std::move(failing));
    expect_status(failed, nvme_sc::compare_failure.sct, nvme_sc::compare_failure.sc);
    const DmaBuf read(512);
    auto reading = ns.read(qpair, read, at);
    co_await reading;
    EXPECT_TRUE(equal(read, after)) << "the pair that failed wrote nothing";
  });
}

TEST_P(NvmeCommand, StatusesArriveWhole) {
  with_controller({}, [&](nvme::Controller& controller, nvme::Qpair& qpair, nvme::Namespace ns) -> Task<> {
    const DmaBuf data(4096);
    spec::Command unknown;
    unknown.opcode = 0x80;  // vendor specific, without data
    unknown.nsid = 1u;
    auto executing = qpair.execute(unknown);
    const auto executed = co_await as_result(executing);
    expect_status(executed, nvme_sc::invalid_opcode.sct, nvme_sc::invalid_opcode.sc);
    if (!executed && executed.error().nvme_status()) EXPECT_TRUE(executed.error().nvme_status()->dnr);
    const std::uint64_t end = ns.num_blocks().value;
    auto beyond = qpair.execute(spec::nvm::read(1, {Lba{end - 4}, BlockCount{8}}), data);
    const auto refused = co_await as_result(beyond);
    expect_status(refused, nvme_sc::lba_out_of_range.sct, nvme_sc::lba_out_of_range.sc);
    auto nowhere = qpair.execute(spec::nvm::read(999, {Lba{0}, BlockCount{8}}), data);
    const auto lost = co_await as_result(nowhere);
    EXPECT_TRUE(!lost && lost.error().nvme_status());
    spec::Command admin;
    admin.opcode = 0xC0;
    auto asking = controller.admin(admin);
    const auto asked = co_await as_result(std::move(asking));
    expect_status(asked, nvme_sc::invalid_opcode.sct, nvme_sc::invalid_opcode.sc);
    // The queue pairs go on.
    auto trip = round_trip(ns, qpair, {Lba{0}, BlockCount{8}}, 9);
    co_await std::move(trip);
  });
}

TEST_P(NvmeCommand, LogPagesAndFeatures) {
  with_controller({}, [&](nvme::Controller& controller, nvme::Qpair&, nvme::Namespace) -> Task<> {
    auto smart = controller.smart_log();
    co_await std::move(smart);
    auto errors = controller.error_log(4);
    co_await std::move(errors);
    auto effects = controller.command_effects_log();
    const spec::CommandEffectsLog log = co_await std::move(effects);
    EXPECT_EQ(log.io[spec::raw(spec::NvmOpcode::read)] & 1u, 1u);
    auto asking = controller.get_feature(spec::Feature::number_of_queues);
    const auto queues = spec::NumberOfQueues::decode(co_await std::move(asking));
    EXPECT_GE(queues.submission, controller.max_io_qpairs());
    auto unknown = controller.get_feature(static_cast<spec::Feature>(0x7F));
    const auto refused = co_await as_result(std::move(unknown));
    EXPECT_TRUE(!refused && refused.error().nvme_status());
  });
}

TEST_P(NvmeCommand, AnAbortOfWhatIsNotThereSaysSo) {
  with_controller({}, [&](nvme::Controller& controller, nvme::Qpair& qpair, nvme::Namespace) -> Task<> {
    auto aborting = controller.admin(spec::abort_command(qpair.id(), 0x7FFF));
    const spec::Completion answer = co_await std::move(aborting);
    EXPECT_EQ(answer.dw0 & 1u, 1u) << "not aborted";
    auto of_admin = controller.admin(spec::abort_command(0, 0x7FFF));
    const spec::Completion admin_answer = co_await std::move(of_admin);
    EXPECT_EQ(admin_answer.dw0 & 1u, 1u) << "not aborted";
  });
}

}  // namespace
}  // namespace spdkio::conformance
