#include <spdkio/nvme/controller.hpp>

#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/for_each_concurrent.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/runtime/with_timeout.hpp>
#include <spdkio/spec/nvm_command.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <iterator>
#include <thread>

#include "nvme/test_support.hpp"
#include "nvme/test_target.hpp"

namespace spdkio::nvme {
namespace {

using test::equal;
using test::FakeConnection;
using test::FakeTarget;
using test::FakeTargetOptions;
using test::fill_random;
using namespace std::chrono_literals;

class ControllerTest : public test::NvmeTest {};

TEST_F(ControllerTest, ConnectIdentifiesAndDetaches) {
  FakeTarget target;
  with_controller(target, {}, [&](Controller& controller, Qpair& qpair, Namespace ns) -> Task<> {
    EXPECT_EQ(controller.state(), ControllerState::ready);
    EXPECT_EQ(controller.identify()->mn.to_string(), "fake controller");
    EXPECT_EQ(controller.identify()->sn.to_string(), "FAKE0001");
    EXPECT_EQ(controller.controller_id(), 1);
    EXPECT_EQ(controller.version().value, 0x00010400u);
    EXPECT_EQ(controller.max_transfer_bytes(), 131072u);
    EXPECT_EQ(controller.max_io_qpairs(), 8u);
    EXPECT_EQ(ns.num_blocks(), BlockCount{4096});
    EXPECT_EQ(ns.block_bytes(), 512u);
    EXPECT_EQ(ns.info()->uuid.bytes[0], 0xAB);
    EXPECT_EQ(ns.info()->nguid[0], 0x42);
    EXPECT_EQ(ns.max_transfer(), BlockCount{256});
    EXPECT_EQ(qpair.id(), 1);
    EXPECT_EQ(qpair.capacity(), 127u);
    EXPECT_TRUE(qpair.connected());
    EXPECT_EQ(controller.namespaces().size(), 1u);
    EXPECT_THROW(controller.ns(2), Error);
    co_return;
  });
  EXPECT_EQ(target.connections, 2);
  EXPECT_EQ(target.kato_ms, 10000u);
}

TEST_F(ControllerTest, OptionsReachTheController) {
  FakeTarget target;
  ControllerOptions options;
  options.keep_alive = 4s;
  options.io_queue_size = 9;
  options.num_io_queues = 2;
  options.name = "disk-a";
  with_controller(target, options, [&](Controller& controller, Qpair& qpair, Namespace) -> Task<> {
    EXPECT_EQ(controller.name(), "disk-a");
    EXPECT_EQ(qpair.capacity(), 8u);
    EXPECT_EQ(controller.max_io_qpairs(), 2u);
    EXPECT_EQ(controller.host_nqn().rfind("nqn.2014-08.org.nvmexpress:uuid:", 0), 0u);
    auto second = controller.alloc_io_qpair({.queue_size = 33});
    Qpair other = co_await std::move(second);
    EXPECT_EQ(other.id(), 2);
    EXPECT_EQ(other.capacity(), 32u);
    auto third = controller.alloc_io_qpair();
    const auto refused = co_await as_result(std::move(third));
    EXPECT_FALSE(refused);
    if (!refused) {
      EXPECT_EQ(refused.error().code(), std::errc::no_space_on_device);
    }
    auto closing = other.close();
    co_await std::move(closing);
    auto again = controller.alloc_io_qpair();
    Qpair reused = co_await std::move(again);
    EXPECT_EQ(reused.id(), 2);
    auto closing_again = reused.close();
    co_await std::move(closing_again);
  });
  EXPECT_EQ(target.kato_ms, 4000u);
}

/// One of everything that shapes PDUs.
class TransferTest : public ControllerTest, public ::testing::WithParamInterface<std::size_t> {
 protected:
  static FakeTargetOptions target_options();
};

TEST_P(TransferTest, WritesAndReadsOfAllSizes) {
  FakeTarget target(target_options());
  ControllerOptions options;
  options.header_digest = target.options.header_digest;
  options.data_digest = target.options.data_digest;
  with_controller(target, options, [&](Controller&, Qpair& qpair, Namespace ns) -> Task<> {
    for (const std::uint64_t blocks : {1, 7, 8, 9, 64, 255, 256, 257, 700}) {
      const LbaRange range{Lba{blocks % 5}, BlockCount{blocks}};
      DmaBuf written(ns.bytes(range.count));
      DmaBuf read(ns.bytes(range.count));
      fill_random(written, static_cast<unsigned>(blocks));
      auto writing = ns.write(qpair, written, range);
      co_await writing;
      const auto stored = target.content(range.first.value * 512, written.size());
      EXPECT_EQ(std::memcmp(stored.data(), written.data(), written.size()), 0) << blocks;
      auto reading = ns.read(qpair, read, range);
      co_await reading;
      EXPECT_TRUE(equal(written, read)) << blocks;
    }
  });
}

TEST_P(TransferTest, ScatterListsOfOddPieces) {
  FakeTarget target(target_options());
  ControllerOptions options;
  options.header_digest = target.options.header_digest;
  options.data_digest = target.options.data_digest;
  with_controller(target, options, [&](Controller&, Qpair& qpair, Namespace ns) -> Task<> {
    const LbaRange range{Lba{3}, BlockCount{300}};
    DmaBuf written(ns.bytes(range.count));
    DmaBuf read(ns.bytes(range.count));
    fill_random(written, 9);
    const std::size_t total = written.size();
    const DmaSpan out[] = {written.subspan(0, 1), written.subspan(1, 70000), written.subspan(70001, total - 70001)};
    const DmaSpan in[] = {read.subspan(0, 66000), read.subspan(66000, 13), read.subspan(66013, total - 66013)};
    auto writing = ns.write(qpair, DmaSpans(out), range);
    co_await writing;
    auto reading = ns.read(qpair, DmaSpans(in), range);
    co_await reading;
    EXPECT_TRUE(equal(written, read));
  });
}

TEST_P(TransferTest, ManyInFlight) {
  FakeTarget target(target_options());
  ControllerOptions options;
  options.header_digest = target.options.header_digest;
  options.data_digest = target.options.data_digest;
  options.io_queue_size = 16;  // fewer than are in flight: the others wait
  with_controller(target, options, [&](Controller&, Qpair& qpair, Namespace ns) -> Task<> {
    auto write_all = [&](LbaRange range) -> Task<> {
      auto buffer = qpair.buffers().get(ns.bytes(range.count));
      fill_random(buffer, static_cast<unsigned>(range.first.value));
      auto writing = ns.write(qpair, buffer, range);
      co_await writing;
    };
    auto check_all = [&](LbaRange range) -> Task<> {
      auto buffer = qpair.buffers().get(ns.bytes(range.count));
      DmaBuf expected(buffer.size());
      fill_random(expected, static_cast<unsigned>(range.first.value));
      auto reading = ns.read(qpair, buffer, range);
      co_await reading;
      EXPECT_TRUE(equal(buffer, expected)) << range.first.value;
    };
    auto writing = for_each_concurrent(64, ns.chunks(BlockCount{33}), write_all);
    co_await std::move(writing);
    auto checking = for_each_concurrent(64, ns.chunks(BlockCount{33}), check_all);
    co_await std::move(checking);
    EXPECT_EQ(qpair.in_flight(), 0u);
    EXPECT_EQ(qpair.waiting(), 0u);
  });
}

struct NamedOptions {
  const char* name;
  void (*edit)(FakeTargetOptions&);
};
constexpr NamedOptions variants[] = {
    {"Plain", [](FakeTargetOptions&) {}},
    {"NoCapsuleData", [](FakeTargetOptions& o) { o.in_capsule_bytes = 0; }},
    {"Digests", [](FakeTargetOptions& o) { o.header_digest = o.data_digest = true; }},
    {"Aligned",
     [](FakeTargetOptions& o) {
       o.header_digest = true;
       o.cpda = 31;
     }},
    {"ManyR2ts",
     [](FakeTargetOptions& o) {
       o.data_digest = true;
       o.c2h_success = false;
       o.r2ts_at_once = 4;
       o.r2t_bytes = 5000;
       o.max_h2c_data = 4096;
     }},
    {"NoMdts",
     [](FakeTargetOptions& o) {
       o.mdts = 0;
       o.c2h_data_bytes = 1 << 20;
       o.in_capsule_bytes = 65536;
     }},
};

FakeTargetOptions TransferTest::target_options() {
  FakeTargetOptions options;
  variants[GetParam()].edit(options);
  return options;
}

INSTANTIATE_TEST_SUITE_P(Tcp, TransferTest, ::testing::Range<std::size_t>(0, std::size(variants)),
                         [](const auto& variant) { return std::string(variants[variant.param].name); });

TEST_F(ControllerTest, TheRestOfTheCommandSet) {
  FakeTarget target;
  with_controller(target, {}, [&](Controller&, Qpair& qpair, Namespace ns) -> Task<> {
    DmaBuf data(4096);
    DmaBuf other(4096);
    fill_random(data, 1);
    fill_random(other, 2);
    const LbaRange range{Lba{16}, BlockCount{8}};
    auto writing = ns.write(qpair, data, range, {.fua = true});
    co_await writing;
    auto comparing = ns.compare(qpair, data, range);
    co_await comparing;
    auto differing = ns.compare(qpair, other, range);
    const auto differs = co_await as_result(differing);
    EXPECT_FALSE(differs);
    if (!differs) {
      EXPECT_EQ(differs.error().nvme_status()->sc, nvme_sc::compare_failure.sc);
      EXPECT_EQ(differs.error().range(), range);
    }
    const LbaRange sources[] = {{Lba{16}, BlockCount{4}}, {Lba{20}, BlockCount{4}}};
    auto copying = ns.copy(qpair, sources, Lba{100});
    co_await std::move(copying);
    EXPECT_EQ(std::memcmp(target.content(100 * 512, 4096).data(), data.data(), 4096), 0);
    auto zeroing = ns.write_zeroes(qpair, range);
    co_await zeroing;
    EXPECT_EQ(target.content(16 * 512, 1)[0], std::byte{0});
    auto deallocating = ns.deallocate(qpair, LbaRange{Lba{100}, BlockCount{8}});
    co_await deallocating;
    EXPECT_EQ(target.content(100 * 512, 1)[0], std::byte{0});
    auto flushing = ns.flush(qpair);
    co_await flushing;
    auto verifying = ns.verify(qpair, range);
    co_await verifying;
    auto raw = qpair.execute(spec::nvm::read(1, range), data);
    const spec::Completion completion = co_await raw;
    EXPECT_TRUE(completion.ok());
    auto fused = ns.compare_and_write(qpair, data, other, range);
    co_await std::move(fused);
    EXPECT_EQ(std::memcmp(target.content(16 * 512, 4096).data(), other.data(), 4096), 0);
  });
}

TEST_F(ControllerTest, MistakesAreRefusedBeforehand) {
  FakeTarget target;
  with_controller(target, {}, [&](Controller&, Qpair& qpair, Namespace ns) -> Task<> {
    DmaBuf data(4096);
    const auto code_of = [](const auto& result) { return result ? std::error_code{} : result.error().code(); };
    auto beyond = ns.read(qpair, data, {Lba{4090}, BlockCount{8}});
    EXPECT_EQ(code_of(co_await as_result(beyond)), make_error_code(Misuse::out_of_range));
    auto wrapping = ns.read(qpair, data, {Lba{UINT64_MAX}, BlockCount{8}});
    EXPECT_EQ(code_of(co_await as_result(wrapping)), make_error_code(Misuse::out_of_range));
    auto short_buffer = ns.read(qpair, data, {Lba{0}, BlockCount{9}});
    EXPECT_EQ(code_of(co_await as_result(short_buffer)), make_error_code(Misuse::buffer_size));
    auto nothing = ns.read(qpair, DmaSpan{}, {Lba{0}, BlockCount{0}});
    EXPECT_EQ(code_of(co_await as_result(nothing)), make_error_code(Misuse::out_of_range));
    const Qpair none;
    auto closed = ns.read(none, data, {Lba{0}, BlockCount{8}});
    EXPECT_EQ(code_of(co_await as_result(closed)), make_error_code(Misuse::already_closed));
  });
  EXPECT_EQ(target.writes, 0);
}

TEST_F(ControllerTest, StatusOfTheControllerIsKeptWhole) {
  FakeTarget target;
  target.set_hook([](FakeConnection& connection, const spec::Command& command) {
    if (connection.qid() != 1 || command.opcode != spec::raw(spec::NvmOpcode::read)) return false;
    connection.respond(command, 0, {.sct = 2, .sc = 0x81, .dnr = true, .more = true});
    return true;
  });
  with_controller(target, {}, [&](Controller& controller, Qpair& qpair, Namespace ns) -> Task<> {
    DmaBuf data(512);
    auto reading = ns.read(qpair, data, {Lba{5}, BlockCount{1}});
    const auto read = co_await as_result(reading);
    EXPECT_FALSE(read);
    if (!read) {
      const NvmeStatus status = read.error().nvme_status().value();
      EXPECT_EQ(status, (NvmeStatus{.sct = 2, .sc = 0x81, .dnr = true, .more = true}));
      EXPECT_EQ(read.error().operation(), "read");
      EXPECT_EQ(read.error().device(), controller.name());
    }
  });
}

TEST_F(ControllerTest, PassingStatusIsRetried) {
  FakeTarget target;
  std::atomic<int> failures{2};
  target.set_hook([&](FakeConnection& connection, const spec::Command& command) {
    if (connection.qid() != 1 || failures.fetch_sub(1) <= 0) return false;
    connection.respond(command, 0, {.sc = 0x21});  // Command Interrupted
    return true;
  });
  with_controller(target, {}, [&](Controller&, Qpair& qpair, Namespace ns) -> Task<> {
    DmaBuf data(512);
    auto reading = ns.read(qpair, data, {Lba{5}, BlockCount{1}});
    co_await reading;
  });
  EXPECT_LT(failures, 0);
}

TEST_F(ControllerTest, AdminCommandsAndLogs) {
  FakeTarget target;
  with_controller(target, {}, [&](Controller& controller, Qpair&, Namespace) -> Task<> {
    auto smart = controller.smart_log();
    const spec::SmartLog log = co_await std::move(smart);
    EXPECT_EQ(log.critical_warning, 0);
    auto getting = controller.get_feature(spec::Feature::arbitration);
    EXPECT_EQ(co_await std::move(getting), 0x1234u);
    auto sanitizing = controller.sanitize({});
    const auto sanitized = co_await as_result(std::move(sanitizing));
    EXPECT_FALSE(sanitized);
    if (!sanitized) {
      EXPECT_EQ(sanitized.error().nvme_status()->sc, nvme_sc::invalid_opcode.sc);
    }
  });
}

TEST_F(ControllerTest, ResizeIsNoticed) {
  FakeTarget target;
  with_controller(target, {}, [&](Controller& controller, Qpair&, Namespace ns) -> Task<> {
    target.resize(8192);
    EXPECT_TRUE(target.raise_event({spec::AsyncEventType::notice, 0, 4}));
    auto waiting = with_timeout(10s, controller.next_event());
    const auto event = co_await std::move(waiting);
    EXPECT_TRUE(event);
    if (event) {
      EXPECT_EQ(event->kind, ControllerEvent::Kind::namespace_changed);
      EXPECT_EQ(event->nsid, 1u);
    }
    EXPECT_EQ(ns.num_blocks(), BlockCount{8192});
  });
}

TEST_F(ControllerTest, CancelledCommandIsAwaitedToItsRealEnd) {
  FakeTarget target;
  std::mutex mutex;
  std::optional<spec::Command> held;
  FakeConnection* holder = nullptr;
  target.set_hook([&](FakeConnection& connection, const spec::Command& command) {
    const std::lock_guard lock(mutex);
    if (connection.qid() != 0 && command.opcode == spec::raw(spec::NvmOpcode::read)) {
      held = command;
      holder = &connection;
      return true;
    }
    if (connection.qid() == 0 && command.opcode == spec::raw(spec::AdminOpcode::abort) && held) {
      EXPECT_EQ(command.cdw10 & 0xFFFF, 1u);
      EXPECT_EQ(command.cdw10 >> 16, held->cid.value());
      holder->respond(*held, 0, nvme_sc::abort_requested);
      connection.respond(command, 0);
      held.reset();
      return true;
    }
    return false;
  });
  with_controller(target, {}, [&](Controller&, Qpair& qpair, Namespace ns) -> Task<> {
    DmaBuf data(512);
    auto reading = with_timeout(50ms, ns.read(qpair, data, {Lba{0}, BlockCount{1}}));
    const auto read = co_await as_result(std::move(reading));
    EXPECT_FALSE(read);
    if (!read) {
      EXPECT_EQ(read.error().code(), std::errc::timed_out);
      EXPECT_EQ(read.error().outcome(), Outcome::aborted);
    }
    auto after = ns.write(qpair, data, {Lba{0}, BlockCount{1}});
    co_await after;
  });
}

TEST_F(ControllerTest, PolledByTheProgram) {
  FakeTarget target;
  run([&]() -> Task<> {
    const TransportId id = target.id();
    auto connecting = Controller::connect(id);
    Controller controller = co_await std::move(connecting);
    auto allocating = controller.alloc_io_qpair({.poll = false});
    Qpair qpair = co_await std::move(allocating);
    const Namespace ns = controller.ns(1);
    bool done = false;
    DmaBuf data(512);
    auto poll = [&]() -> Task<> {
      std::size_t completions = 0;
      while (!done) {
        completions += qpair.process_completions();
        co_await yield();
      }
      EXPECT_EQ(completions, 1u);
    };
    Scope scope;
    scope.spawn(poll());
    auto reading = ns.read(qpair, data, {Lba{0}, BlockCount{1}});
    co_await reading;
    done = true;
    co_await scope.join();
    auto closing = qpair.close();
    co_await std::move(closing);
    auto detaching = controller.detach();
    co_await std::move(detaching);
  });
}

TEST_F(ControllerTest, QpairOnAnotherThread) {
  FakeTarget target;
  std::promise<ThreadHandle> attached;
  std::atomic<bool> stop{false};
  std::thread other([&] {
    auto thread = Thread::attach("other");
    attached.set_value(thread.handle());
    thread.run_until([&] { return stop.load(); });
    thread.close();
  });
  const ThreadHandle handle = attached.get_future().get();
  run([&]() -> Task<> {
    const TransportId id = target.id();
    ControllerOptions options;
    options.reconnect.initial_delay = 5ms;
    auto connecting = Controller::connect(id, options);
    Controller controller = co_await std::move(connecting);
    auto work = [&]() -> Task<> {
      auto allocating = controller.alloc_io_qpair();
      Qpair qpair = co_await std::move(allocating);
      const Namespace ns = controller.ns(1);
      DmaBuf data(512);
      auto reading = ns.read(qpair, data, {Lba{0}, BlockCount{1}});
      co_await reading;
      target.drop_connections();
      auto again = ns.read(qpair, data, {Lba{0}, BlockCount{1}});
      co_await again;
      auto smart = controller.smart_log();
      co_await std::move(smart);
      auto closing = qpair.close();
      co_await std::move(closing);
    };
    auto calling = handle.call(work);
    co_await std::move(calling);
    EXPECT_EQ(controller.connections(), 2u);
    auto detaching = controller.detach();
    co_await std::move(detaching);
  });
  EXPECT_TRUE(handle.send([&] { stop = true; }));
  other.join();
}

TEST_F(ControllerTest, HandlesThatJustGoClean) {
  FakeTarget target;
  run([&]() -> Task<> {
    const TransportId id = target.id();
    auto connecting = Controller::connect(id);
    Controller controller = co_await std::move(connecting);
    auto allocating = controller.alloc_io_qpair();
    Qpair qpair = co_await std::move(allocating);
  });
}

TEST_F(ControllerTest, FailuresOfConnect) {
  FakeTarget target;
  const auto connect = [](const TransportId& id, const ControllerOptions& options) -> Task<> {
    auto connecting = Controller::connect(id, options);
    Controller controller = co_await std::move(connecting);
  };
  TransportId wrong = target.id();
  wrong.subnqn = "nqn.2026-11.io.spdkio:nobody";
  const Error unknown = test::failure_of(connect(wrong, {}));
  EXPECT_TRUE(unknown.nvme_status());
  EXPECT_NE(std::string(unknown.what()).find("byte 256 of Connect's data"), std::string::npos) << unknown.what();
  ASSERT_FALSE(unknown.context().empty());
  EXPECT_TRUE(unknown.context().back().starts_with("connecting to ")) << unknown.report();

  ControllerOptions digests;
  digests.data_digest = true;
  EXPECT_EQ(test::failure_of(connect(target.id(), digests)).code(), std::errc::protocol_not_supported);

  TransportId nobody = target.id();
  nobody.trsvcid = "1";
  EXPECT_EQ(test::failure_of(connect(nobody, {})).code(), std::errc::connection_refused);

  TransportId rdma = target.id();
  rdma.trtype = TransportType::rdma;
  EXPECT_EQ(test::failure_of(connect(rdma, {})).code(), make_error_code(Misuse::not_supported));

  target.on_ic_req = [](FakeConnection& connection) { connection.fall_silent(); };
  ControllerOptions patience;
  patience.connect_timeout = 100ms;
  EXPECT_EQ(test::failure_of(connect(target.id(), patience)).code(), std::errc::timed_out);
}

}  // namespace
}  // namespace spdkio::nvme
