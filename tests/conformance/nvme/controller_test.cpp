// Controllers: the engine that answers, facts, options, what goes wrong while connecting, resets.
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/runtime/with_timeout.hpp>
#include <spdkio/spec/features.hpp>
#include <spdkio/spec/nvm_command.hpp>
#include <spdkio/spec/opcodes.hpp>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nvme_fixture.hpp"

namespace spdkio::conformance {
namespace {

class NvmeController : public NvmeConformance {};
INSTANTIATE_TEST_SUITE_P(Targets, NvmeController, ::testing::ValuesIn(nvme_targets()),
                         [](const auto& one) { return one.param; });

/// A TCP port where somebody listens and never says a word; 0 when there is none.
class SilentPort {
 public:
  SilentPort() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(fd_, reinterpret_cast<sockaddr*>(&address), size) != 0) return;
    if (::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0) port_ = ntohs(address.sin_port);
  }
  SilentPort(const SilentPort&) = delete;
  SilentPort& operator=(const SilentPort&) = delete;
  ~SilentPort() { ::close(fd_); }
  void listen() const { ASSERT_EQ(::listen(fd_, 8), 0); }
  nvme::TransportId address() const { return nvme::TransportId::tcp("127.0.0.1", port_, conformance_nqn); }

 private:
  int fd_;
  std::uint16_t port_ = 0;
};

TEST_P(NvmeController, TheEngineIsTheOneThatWasAskedFor) {
  const char* asked = std::getenv("SPDKIO_ENGINE");
  const std::string expected = asked != nullptr && *asked != '\0' ? asked : "embedded";
  EXPECT_EQ(env_->engine().name(), expected);
  EXPECT_TRUE(env_->engine().capabilities().nvme);
}

TEST_P(NvmeController, Facts) {
  nvme::ControllerOptions options;
  options.name = "facts";
  with_controller(options, [&](nvme::Controller& controller, nvme::Qpair& qpair, nvme::Namespace ns) -> Task<> {
    EXPECT_EQ(controller.name(), "facts");
    EXPECT_EQ(controller.state(), nvme::ControllerState::ready);
    EXPECT_EQ(controller.connections(), 1u);
    EXPECT_EQ(controller.transport_id().subnqn, address_.subnqn);
    EXPECT_GE(controller.version().major_version(), 1u);
    EXPECT_GE(controller.capabilities().max_queue_entries(), 2u);
    EXPECT_EQ(controller.identify()->cntlid, controller.controller_id());
    EXPECT_FALSE(controller.identify()->sn.to_string().empty());
    EXPECT_GE(controller.max_io_qpairs(), 1u);
    EXPECT_TRUE(qpair.connected());
    EXPECT_GE(ns.num_blocks().value, disk_blocks);
    EXPECT_EQ(ns.block_bytes(), 512u);
    const DmaBuf page(spec::identify_bytes);
    auto identifying = controller.identify(spec::Cns::controller, 0, page);
    co_await std::move(identifying);
    EXPECT_EQ(std::memcmp(page.data(), controller.identify().get(), sizeof(spec::IdentifyController)), 0);
  });
}

TEST_P(NvmeController, OptionsAreHonoured) {
  nvme::ControllerOptions options;
  options.num_io_queues = 2;
  options.io_queue_size = 16;
  options.keep_alive = 20'000ms;
  options.host_nqn = "nqn.2026-11.io.spdkio:a-host";
  with_controller(options, [&](nvme::Controller& controller, nvme::Qpair& qpair, nvme::Namespace) -> Task<> {
    EXPECT_EQ(controller.host_nqn(), options.host_nqn);
    EXPECT_EQ(controller.max_io_qpairs(), 2u);
    EXPECT_EQ(qpair.capacity(), 15u);
    auto asking = controller.get_feature(spec::Feature::keep_alive_timer);
    const std::uint32_t keep_alive_ms = co_await std::move(asking);
    EXPECT_EQ(keep_alive_ms, 20'000u);
    auto second = controller.alloc_io_qpair();
    nvme::Qpair another = co_await std::move(second);
    auto third = controller.alloc_io_qpair();
    const auto refused = co_await as_result(std::move(third));
    EXPECT_FALSE(refused);
    if (!refused) {
      EXPECT_EQ(refused.error().code(), std::errc::no_space_on_device) << refused.error().what();
    }
    auto closing = another.close();
    co_await std::move(closing);
    auto again = controller.alloc_io_qpair();
    nvme::Qpair reopened = co_await std::move(again);
    auto closing_again = reopened.close();
    co_await std::move(closing_again);
  });
}

TEST_P(NvmeController, SeveralAtTheSameSubsystem) {
  on_home([&]() -> Task<> {
    std::vector<nvme::Controller> controllers;
    for (int i = 0; i < 3; ++i) {
      auto connecting = nvme::Controller::connect(address_);
      controllers.push_back(co_await std::move(connecting));
    }
    EXPECT_NE(controllers[0].controller_id(), controllers[1].controller_id());
    EXPECT_NE(controllers[1].controller_id(), controllers[2].controller_id());
    auto detaching = controllers[1].detach();
    co_await std::move(detaching);
    for (const std::size_t i : {0u, 2u}) {
      auto allocating = controllers[i].alloc_io_qpair();
      nvme::Qpair qpair = co_await std::move(allocating);
      auto trip = round_trip(controllers[i].ns(1), qpair, {Lba{i * 64}, BlockCount{64}}, i);
      co_await std::move(trip);
      auto closing = qpair.close();
      co_await std::move(closing);
      auto leaving = controllers[i].detach();
      co_await std::move(leaving);
      EXPECT_EQ(controllers[i].state(), nvme::ControllerState::detached);
    }
  });
}

TEST_P(NvmeController, AnUnknownSubsystemIsRefusedWithItsStatus) {
  on_home([&]() -> Task<> {
    nvme::TransportId nowhere = address_;
    nowhere.subnqn = "nqn.2026-11.io.spdkio:not-here";
    auto connecting = nvme::Controller::connect(nowhere);
    const auto connected = co_await as_result(std::move(connecting));
    EXPECT_FALSE(connected);
    if (connected) co_return;
    const auto status = connected.error().nvme_status();
    EXPECT_TRUE(status) << connected.error().what();
    if (!status) co_return;
    EXPECT_EQ(status->sct, 1);
    EXPECT_EQ(status->sc, 0x82) << connected.error().what();
  });
}

TEST_P(NvmeController, WhereNobodyListensItIsRefused) {
  on_home([&]() -> Task<> {
    const SilentPort port;  // taken, but not listening
    auto connecting = nvme::Controller::connect(port.address());
    const auto connected = co_await as_result(std::move(connecting));
    EXPECT_FALSE(connected);
    if (connected) co_return;
    EXPECT_EQ(connected.error().code(), std::errc::connection_refused) << connected.error().what();
  });
}

TEST_P(NvmeController, WhoeverDoesNotAnswerIsGivenUpInTime) {
  on_home([&]() -> Task<> {
    const SilentPort port;
    port.listen();
    nvme::ControllerOptions options;
    options.connect_timeout = 100ms;
    auto connecting = nvme::Controller::connect(port.address(), options);
    const auto connected = co_await as_result(std::move(connecting));
    EXPECT_FALSE(connected);
    if (connected) co_return;
    EXPECT_EQ(connected.error().code(), std::errc::timed_out) << connected.error().what();
  });
}

TEST_P(NvmeController, AStopRequestEndsTheAttempt) {
  on_home([&]() -> Task<> {
    const SilentPort port;
    port.listen();
    auto connecting = nvme::Controller::connect(port.address());
    auto limited = with_timeout(50ms, std::move(connecting));
    const auto connected = co_await as_result(std::move(limited));
    EXPECT_FALSE(connected);
    // Others get on.
    auto good = nvme::Controller::connect(address_);
    nvme::Controller controller = co_await std::move(good);
    auto detaching = controller.detach();
    co_await std::move(detaching);
  });
}

TEST_P(NvmeController, KeepAliveIsSentByItself) {
  nvme::ControllerOptions options;
  options.keep_alive = 2000ms;
  with_controller(options, [&](nvme::Controller& controller, nvme::Qpair& qpair, nvme::Namespace ns) -> Task<> {
    co_await sleep_for(5s);
    auto trip = round_trip(ns, qpair, {Lba{0}, BlockCount{8}}, 1);
    co_await std::move(trip);
    EXPECT_EQ(controller.connections(), 1u) << "the controller has not given the host up";
  });
}

TEST_P(NvmeController, AResetIsSurvivedByWhatIsUnderWay) {
  with_controller({}, [&](nvme::Controller& controller, nvme::Qpair& qpair, nvme::Namespace ns) -> Task<> {
    bool stop = false;
    auto work = [&](std::uint64_t worker) -> Task<> {
      for (std::uint64_t round = 0; !stop || round < 20; ++round) {
        auto trip = round_trip(ns, qpair, {Lba{worker * 64}, BlockCount{16}}, worker * 1000 + round);
        co_await std::move(trip);
      }
    };
    Scope scope;
    for (std::uint64_t worker = 0; worker < 8; ++worker) scope.spawn(work(worker));
    for (int i = 0; i < 3; ++i) {
      co_await sleep_for(5ms);
      auto resetting = controller.reset();
      co_await std::move(resetting);
    }
    stop = true;
    co_await scope.join();
    EXPECT_EQ(controller.connections(), 4u);
    EXPECT_EQ(controller.state(), nvme::ControllerState::ready);
    // It says so, in order.
    for (int i = 0; i < 3; ++i) {
      auto first = controller.next_event();
      const auto gone = co_await std::move(first);
      EXPECT_EQ(gone->kind, nvme::ControllerEvent::Kind::disconnected);
      auto second = controller.next_event();
      const auto back = co_await std::move(second);
      EXPECT_EQ(back->kind, nvme::ControllerEvent::Kind::reconnected);
    }
  });
}

TEST_P(NvmeController, WhatWaitsAtTheDetachEnds) {
  on_home([&]() -> Task<> {
    auto connecting = nvme::Controller::connect(address_);
    nvme::Controller controller = co_await std::move(connecting);
    auto allocating = controller.alloc_io_qpair();
    nvme::Qpair qpair = co_await std::move(allocating);
    const nvme::Namespace ns = controller.ns(1);
    std::uint64_t done = 0;
    auto work = [&]() -> Task<> {
      const DmaBuf data(4096);
      for (;; ++done) {
        auto reading = ns.read(qpair, data, {Lba{0}, BlockCount{8}});
        const auto read = co_await as_result(reading);
        if (!read) co_return;
      }
    };
    std::vector<JoinHandle<>> running;
    for (int i = 0; i < 16; ++i) running.push_back(CurrentThread::spawn(work()));
    while (done < 100) co_await yield();
    auto detaching = controller.detach();
    co_await std::move(detaching);
    for (JoinHandle<>& one : running) co_await std::move(one);
    auto closing = qpair.close();
    co_await std::move(closing);
  });
}

}  // namespace
}  // namespace spdkio::conformance
