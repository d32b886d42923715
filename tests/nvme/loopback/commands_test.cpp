// Commands beyond reading and writing, end to end: what the target has, and the status with which it declines the rest.
#include <spdkio/bdev_modules/delay.hpp>
#include <spdkio/runtime/for_each_concurrent.hpp>
#include <spdkio/runtime/with_timeout.hpp>
#include <spdkio/spec/identify.hpp>
#include <spdkio/spec/nvm_command.hpp>
#include <spdkio/spec/opcodes.hpp>
#include <spdkio/spec/reservation.hpp>

#include <algorithm>
#include <array>
#include <vector>

#include "loopback_fixture.hpp"

namespace spdkio::loopback {
namespace {

/// The status with which a task or operation failed.
template <class Result>
NvmeStatus status_of(const Result& result) {
  if (result) {
    ADD_FAILURE() << "it succeeded";
    return {};
  }
  if (!result.error().nvme_status()) {
    ADD_FAILURE() << "no answer of the controller: " << result.error().what();
    return {};
  }
  return *result.error().nvme_status();
}

void expect_status(const NvmeStatus& is, const NvmeStatus& wanted) {
  EXPECT_EQ(is.sct, wanted.sct) << is.describe();
  EXPECT_EQ(is.sc, wanted.sc) << is.describe();
  EXPECT_TRUE(is.dnr) << "asking again will not help: " << is.describe();
}

TEST_F(LoopbackTest, CompareAndWriteIsOneStep) {
  with_controller({}, [&](nvme::Controller&, nvme::Qpair& qpair, nvme::Namespace ns) -> Task<> {
    DmaBuf zeroes(512);
    zeroes.fill(std::byte{0});
    DmaBuf data(512);
    fill_random(data, 3);
    const LbaRange at{Lba{5}, BlockCount{1}};
    auto swapping = ns.compare_and_write(qpair, zeroes, data, at);
    co_await std::move(swapping);
    auto failing = ns.compare_and_write(qpair, zeroes, zeroes, at);
    const auto failed = co_await as_result(std::move(failing));
    EXPECT_EQ(status_of(failed).sc, nvme_sc::compare_failure.sc);
    DmaBuf read(512);
    auto reading = ns.read(qpair, read, at);
    co_await reading;
    EXPECT_TRUE(equal(read, data)) << "the pair that failed wrote nothing";

    // A lock that many want: each round has exactly one winner.
    constexpr int contenders = 16;
    for (int round = 1; round <= 10; ++round) {
      int winners = 0;
      auto contend = [&](int me) -> Task<> {
        DmaBuf expected(512);
        expected.fill(static_cast<std::byte>(round - 1));
        DmaBuf mine(512);
        mine.fill(static_cast<std::byte>(round));
        mine[0] = static_cast<std::byte>(0x80 + me);
        auto trying = ns.compare_and_write(qpair, expected, mine, {Lba{9}, BlockCount{1}});
        const auto tried = co_await as_result(std::move(trying));
        if (tried) {
          ++winners;
        } else {
          EXPECT_EQ(status_of(tried).sc, nvme_sc::compare_failure.sc);
        }
      };
      std::array<int, contenders> all{};
      for (int i = 0; i < contenders; ++i) all[static_cast<std::size_t>(i)] = i;
      auto contending = for_each_concurrent(contenders, all, contend);
      co_await std::move(contending);
      EXPECT_EQ(winners, 1) << round;
      DmaBuf next(512);
      next.fill(static_cast<std::byte>(round));
      auto settling = ns.write(qpair, next, {Lba{9}, BlockCount{1}});
      co_await settling;
    }
  });
}

TEST_F(LoopbackTest, HalvesOfAFusedPairAloneAreRefused) {
  with_controller({}, [&](nvme::Controller&, nvme::Qpair& qpair, nvme::Namespace) -> Task<> {
    DmaBuf data(512);
    data.fill(std::byte{0});
    spec::Command second = spec::nvm::write(1, {Lba{0}, BlockCount{1}});
    second.set_fuse(spec::Fuse::second);
    auto alone = qpair.execute(second, data);
    const auto refused = co_await as_result(alone);
    expect_status(status_of(refused), {.sct = 0, .sc = 0x0A});  // missing fused command
  });
}

TEST_F(LoopbackTest, ReservationsAreDeclined) {
  with_controller({}, [&](nvme::Controller& controller, nvme::Qpair& qpair, nvme::Namespace ns) -> Task<> {
    EXPECT_EQ(controller.identify()->oncs & spec::oncs::reservations, 0);
    EXPECT_EQ(ns.info()->identify.rescap, 0);
    auto registering = ns.reservation_register(qpair, {.new_key = 1});
    const auto refused = co_await as_result(std::move(registering));
    EXPECT_FALSE(refused);
    if (!refused) {
      EXPECT_EQ(refused.error().code(), make_error_code(Misuse::not_supported)) << "found before it is sent";
    }
    // And to those who send it all the same.
    DmaBuf keys(16);
    keys.fill(std::byte{1});
    auto raw = qpair.execute(spec::reservation_register_command(1, spec::RegisterAction::register_key, false,
                                                                spec::PersistThroughPowerLoss::no_change),
                             keys);
    const auto answer = co_await as_result(raw);
    expect_status(status_of(answer), nvme_sc::invalid_opcode);
    DmaBuf report(4096);
    auto reporting = qpair.execute(spec::reservation_report_command(1, 4096, true), report);
    const auto reported = co_await as_result(reporting);
    expect_status(status_of(reported), nvme_sc::invalid_opcode);
  });
}

TEST_F(LoopbackTest, WhatWouldRemakeNamespacesIsDeclined) {
  with_controller({}, [&](nvme::Controller& controller, nvme::Qpair& qpair, nvme::Namespace ns) -> Task<> {
    EXPECT_EQ(controller.identify()->oacs & (spec::oacs::ns_management | spec::oacs::format), 0);
    EXPECT_EQ(controller.identify()->sanicap, 0u);
    spec::IdentifyNamespace wanted;
    wanted.nsze = 128u;
    wanted.ncap = 128u;
    auto creating = controller.create_namespace(wanted);
    const auto created = co_await as_result(std::move(creating));
    expect_status(status_of(created), nvme_sc::invalid_opcode);
    auto deleting = controller.delete_namespace(1);
    const auto deleted = co_await as_result(std::move(deleting));
    expect_status(status_of(deleted), nvme_sc::invalid_opcode);
    std::vector<std::uint16_t> controllers{controller.controller_id()};
    auto leaving = controller.detach_namespace(1, controllers);
    const auto left = co_await as_result(std::move(leaving));
    expect_status(status_of(left), nvme_sc::invalid_opcode);
    nvme::FormatOptions format;
    auto formatting = controller.format(1, format);
    const auto formatted = co_await as_result(std::move(formatting));
    expect_status(status_of(formatted), nvme_sc::invalid_opcode);
    nvme::SanitizeOptions sanitize;
    auto sanitizing = controller.sanitize(sanitize);
    const auto sanitized = co_await as_result(std::move(sanitizing));
    expect_status(status_of(sanitized), nvme_sc::invalid_opcode);
    auto asking = controller.sanitize_log();
    const auto log = co_await as_result(std::move(asking));
    expect_status(status_of(log), {.sct = 1, .sc = 0x09});  // invalid log page
    // None of it did harm.
    EXPECT_TRUE(ns.active());
    DmaBuf data(512);
    auto reading = ns.read(qpair, data, {Lba{0}, BlockCount{1}});
    co_await reading;
  });
}

TEST_F(LoopbackTest, ACommandThatWaitsIsAborted) {
  with_controller({}, [&](nvme::Controller& controller, nvme::Qpair& qpair, nvme::Namespace) -> Task<> {
    bdev::MallocOptions disk;
    disk.name = "Base";
    disk.num_blocks = 64;
    auto making = bdev::create_malloc(disk);
    co_await std::move(making);
    bdev::DelayOptions slow;
    slow.name = "Slow";
    slow.base = "Base";
    slow.latencies = {.average_read = 1h, .p99_read = 1h, .average_write = 0us, .p99_write = 0us};
    auto delaying = bdev::create_delay(slow);
    co_await std::move(delaying);
    auto showing = subsystem_->add_namespace("Slow");
    const std::uint32_t nsid = co_await std::move(showing);
    auto rescanning = controller.rescan_namespaces();
    co_await std::move(rescanning);
    const nvme::Namespace ns = controller.ns(nsid);
    DmaBuf data(512);
    auto read = [&]() -> Task<> {
      auto reading = ns.read(qpair, data, {Lba{0}, BlockCount{1}});
      co_await reading;
    };
    auto limited = with_timeout(20ms, read());
    const auto ended = co_await as_result(std::move(limited));
    EXPECT_FALSE(ended);
    if (!ended) {
      EXPECT_EQ(ended.error().outcome(), Outcome::aborted) << ended.error().what();
    }
    // The queue pair goes on.
    auto writing = ns.write(qpair, data, {Lba{0}, BlockCount{1}});
    co_await writing;
    // An Abort of a command that is not there says so and is no failure.
    const spec::Command nothing = spec::abort_command(qpair.id(), 0x7FFF);
    auto aborting = controller.admin(nothing);
    const spec::Completion answer = co_await std::move(aborting);
    EXPECT_EQ(answer.dw0 & 1u, 1u) << "not aborted";
    auto hiding = subsystem_->remove_namespace(nsid);
    co_await std::move(hiding);
    auto removing = bdev::delete_delay("Slow");
    co_await std::move(removing);
    auto removing_base = bdev::delete_malloc("Base");
    co_await std::move(removing_base);
  });
}

}  // namespace
}  // namespace spdkio::loopback
