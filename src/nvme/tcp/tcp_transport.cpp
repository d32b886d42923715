#include "nvme/tcp/tcp_transport.hpp"

#include <spdkio/base/probe.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/with_timeout.hpp>
#include <spdkio/spec/fabrics.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "nvme/tcp/connect.hpp"
#include "nvme/tcp/resolve.hpp"
#include "nvme/tcp/tcp_queue.hpp"

namespace spdkio::nvme::tcp {
namespace {

namespace fabrics = spec::fabrics;

/// In-capsule data that every controller takes on its admin queue (TCP transport specification).
constexpr std::uint32_t admin_in_capsule_bytes = 8192;

class TcpTransport final : public HostTransport {
 public:
  explicit TcpTransport(const ControllerSettings& settings) : settings_(settings) {
    limits_.fabrics = true;
    socket_options_.congestion_control = settings.congestion_control;
    socket_options_.type_of_service = settings.type_of_service;
    socket_options_.priority = settings.id.priority;
  }

  Task<std::unique_ptr<TransportQueue>> open_admin(const QueueParameters& parameters, QueueEvents& events) override {
    QueueParameters wanted = parameters;
    wanted.in_capsule_bytes = admin_in_capsule_bytes;
    cntlid_ = fabrics::any_controller;
    auto opening = open(wanted, events);
    auto queue = co_await std::move(opening);
    admin_ = static_cast<TcpQueue*>(queue.get());
    co_return std::move(queue);
  }
  Task<std::unique_ptr<TransportQueue>> open_io(const QueueParameters& parameters, QueueEvents& events) override {
    return open(parameters, events);
  }
  Task<std::uint64_t> get_property(spec::Property property, unsigned bytes) override {
    fabrics::PropertyGetCommand command;
    command.attrib = bytes == 8 ? 1 : 0;
    command.offset = static_cast<std::uint32_t>(property);
    auto executing = execute(std::bit_cast<spec::Command>(command), "Property Get");
    const spec::Completion completion = co_await std::move(executing);
    co_return bytes == 8 ? completion.dw0_1() : completion.dw0.value();
  }
  Task<> set_property(spec::Property property, unsigned bytes, std::uint64_t value) override {
    fabrics::PropertySetCommand command;
    command.attrib = bytes == 8 ? 1 : 0;
    command.offset = static_cast<std::uint32_t>(property);
    command.value = value;
    auto executing = execute(std::bit_cast<spec::Command>(command), "Property Set");
    co_await std::move(executing);
  }
  Task<> close() override {
    admin_ = nullptr;
    cntlid_ = fabrics::any_controller;
    co_return;
  }
  const TransportLimits& limits() const noexcept override { return limits_; }
  std::uint16_t controller_id() const noexcept override { return cntlid_; }

 private:
  Task<std::unique_ptr<TransportQueue>> open(QueueParameters parameters, QueueEvents& events) {
    auto queue = std::make_unique<TcpQueue>(settings_.name, parameters, events);
    auto connecting = connect_queue(*queue, parameters);
    auto limited = with_timeout(parameters.timeout, std::move(connecting));
    const auto connected = co_await as_result(std::move(limited));
    if (!connected) {
      auto stopping = queue->stop(false);
      co_await std::move(stopping);
      throw connected.error().with_context(parameters.qid == 0
                                               ? fmt::format("connecting to {}", settings_.name)
                                               : fmt::format("opening queue {} to {}", parameters.qid, settings_.name));
    }
    queue->hand_over();
    co_return std::move(queue);
  }

  Task<> connect_queue(TcpQueue& queue, QueueParameters parameters) {
    auto dialling = dial();
    UniqueFd fd = co_await std::move(dialling);
    auto shaking = queue.handshake(std::move(fd), {settings_.header_digest, settings_.data_digest});
    co_await std::move(shaking);

    fabrics::ConnectData data;
    data.hostid = settings_.host_id.bytes;
    data.cntlid = cntlid_;
    fabrics::set_field_text(data.subnqn, settings_.id.subnqn);
    fabrics::set_field_text(data.hostnqn, settings_.host_nqn);
    fabrics::ConnectCommand command;
    command.qid = parameters.qid;
    command.sqsize = static_cast<std::uint16_t>(parameters.entries - 1);
    if (parameters.qid == 0) command.kato = static_cast<std::uint32_t>(settings_.keep_alive.count());
    auto executing = queue.execute(std::bit_cast<spec::Command>(command), std::as_writable_bytes(std::span(&data, 1)),
                                   spec::DataTransfer::host_to_controller);
    const spec::Completion completion = co_await std::move(executing);
    if (!completion.ok()) throw refused(completion);
    const bool wants_authentication = completion.dw0 >> 16 != 0;
    if (wants_authentication) {
      throw Error(std::errc::operation_not_supported,
                  "the controller wants authentication, which this library does not have yet")
          .with_operation("connect")
          .with_device(settings_.name);
    }
    if (parameters.qid == 0) cntlid_ = fabrics::connect_cntlid(completion);
  }

  /// The first address of the host that answers.
  Task<UniqueFd> dial() {
    const TransportId& id = settings_.id;
    const AddressFamily family = id.adrfam == nvme::AddressFamily::ipv4   ? AddressFamily::v4
                                 : id.adrfam == nvme::AddressFamily::ipv6 ? AddressFamily::v6
                                                                          : AddressFamily::any;
    auto resolving = resolve(id.traddr, id.port(), family);
    const std::vector<SocketAddress> addresses = co_await std::move(resolving);
    std::optional<SocketAddress> from;
    if (!id.hostaddr.empty()) {
      const std::uint16_t port = id.hostsvcid.empty() ? 0 : SocketAddress::parse_port(id.hostsvcid);
      from = SocketAddress::parse(id.hostaddr, port);
      if (!from) throw Error(Misuse::invalid_argument, fmt::format("hostaddr '{}' is no IP address", id.hostaddr));
    }
    std::optional<Error> last;
    for (const SocketAddress& address : addresses) {
      auto connecting = connect(address, socket_options_, from);
      auto connected = co_await as_result(std::move(connecting));
      if (connected) {
        SPDKIO_PROBE(nvme_tcp_connect, connected->get());
        co_return std::move(*connected);
      }
      last = connected.error();
      if (last->code() == std::errc::operation_canceled) break;
    }
    throw last.value_or(Error(std::errc::host_unreachable, "the host has no address"));
  }

  Error refused(const spec::Completion& completion) const {
    const NvmeStatus status = completion.status();
    Error error(status, fmt::format("the controller refused Connect: {}", fabrics::status_text(status)));
    const auto is = [&status](const NvmeStatus& other) { return status.sct == other.sct && status.sc == other.sc; };
    if (is(fabrics::sc::invalid_host)) {
      error = Error(status, fmt::format("the subsystem does not admit the host '{}'", settings_.host_nqn))
                  .with_hint("add the host's NQN to the subsystem, or set host_nqn");
    } else if (is(fabrics::sc::invalid_parameters)) {
      const std::uint32_t where = completion.dw0;
      error = Error(status, fmt::format("the controller finds byte {} of Connect's {} invalid", where & 0xFFFF,
                                        (where >> 16 & 1) != 0 ? "data" : "command"))
                  .with_hint("is there a subsystem with this NQN on this port? nvme::discover lists them");
    } else if (is(fabrics::sc::authentication_required)) {
      error = Error(status, "the controller wants authentication, which this library does not have yet");
    } else if (is(fabrics::sc::controller_busy)) {
      error = Error(status, "the controller is busy");
    }
    return error.with_operation("connect").with_device(settings_.name);
  }

  Task<spec::Completion> execute(spec::Command command, const char* what) {
    if (admin_ == nullptr) {
      throw Error(std::errc::not_connected, "there is no connection").with_operation(what).with_device(settings_.name);
    }
    auto executing = admin_->execute(command, {}, spec::DataTransfer::none);
    auto limited = with_timeout(settings_.connect_timeout, std::move(executing));
    const spec::Completion completion = co_await std::move(limited);
    if (!completion.ok()) {
      const NvmeStatus status = completion.status();
      throw Error(status, std::string(fabrics::status_text(status))).with_operation(what).with_device(settings_.name);
    }
    co_return completion;
  }

  const ControllerSettings settings_;
  SocketOptions socket_options_;
  TransportLimits limits_;
  TcpQueue* admin_ = nullptr;
  std::uint16_t cntlid_ = fabrics::any_controller;
};

}  // namespace

std::unique_ptr<HostTransport> make_tcp_transport(const ControllerSettings& settings) {
  return std::make_unique<TcpTransport>(settings);
}

}  // namespace spdkio::nvme::tcp
