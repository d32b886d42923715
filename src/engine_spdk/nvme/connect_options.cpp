#include "engine_spdk/nvme/connect_options.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <string_view>

#include "engine/pci_access.hpp"
#include "nvme/tcp/socket_address.hpp"

namespace spdkio::spdk {
namespace {

using nvme::ControllerSettings;
using nvme::TransportType;

/// SPDK keeps some entries of the admin queue busy itself: up to eight requests for events, and Keep Alive.
constexpr std::uint16_t smallest_admin_queue = 16;

[[noreturn]] void refuse(const ControllerSettings& settings, std::string message, std::string_view hint = {}) {
  Error error = Error(Misuse::not_supported, std::move(message)).with_operation("nvme connect");
  error = error.with_device(settings.name);
  throw hint.empty() ? error : error.with_hint(hint);
}

spdk_nvme_transport_type to_spdk(TransportType type) noexcept {
  switch (type) {
    case TransportType::pcie: return SPDK_NVME_TRANSPORT_PCIE;
    case TransportType::tcp: return SPDK_NVME_TRANSPORT_TCP;
    case TransportType::rdma: return SPDK_NVME_TRANSPORT_RDMA;
  }
  return SPDK_NVME_TRANSPORT_CUSTOM;
}

template <std::size_t size>
void put(char (&field)[size], std::string_view text, std::string_view name) {
  if (text.size() >= size) {
    throw Error(Misuse::invalid_argument,
                fmt::format("{} has {} characters; SPDK has room for {}", name, text.size(), size - 1))
        .with_operation("nvme connect");
  }
  std::memset(field, 0, size);
  std::ranges::copy(text, field);
}

std::string system_congestion_control() {
  std::ifstream file("/proc/sys/net/ipv4/tcp_congestion_control");
  std::string name;
  file >> name;
  return name;
}

void check_tcp(const ControllerSettings& settings) {
  if (settings.type_of_service != 0) {
    refuse(settings, "SPDK's NVMe/TCP initiator does not set a type of service",
           "leave ControllerOptions::type_of_service 0, or use the embedded engine");
  }
  static const std::string system = system_congestion_control();
  const std::string& wanted = settings.congestion_control;
  if (wanted.empty() || wanted == system) return;
  if (wanted != nvme::ControllerOptions{}.congestion_control) {
    refuse(
        settings,
        fmt::format("SPDK's NVMe/TCP initiator uses the system's congestion control, '{}', not '{}'", system, wanted),
        "leave ControllerOptions::congestion_control empty, or use the embedded engine");
  }
  log::debug("{}: SPDK uses the system's congestion control, '{}'", settings.name, system);
}

}  // namespace

void check_connect_options(const ControllerSettings& settings) {
  const TransportType type = settings.id.trtype;
  if (::spdk_nvme_transport_available(to_spdk(type)) == 0) {
    refuse(settings, fmt::format("the installed SPDK has no {} transport", to_string(type)),
           "build SPDK with it, or use another transport");
  }
  if (type == TransportType::pcie) {
    if (engine::PciAccess::allowed()) return;
    throw Error(std::errc::operation_not_permitted, "this process may not touch PCI devices")
        .with_operation("nvme connect")
        .with_device(settings.name)
        .with_hint("start the Env or App without EnvOptions::no_pci (--no-pci)");
  }
  if (type == TransportType::tcp) check_tcp(settings);
  const std::string& from = settings.id.hostaddr;
  if (!from.empty() && !nvme::tcp::SocketAddress::parse(from, 0)) {
    throw Error(Misuse::invalid_argument, fmt::format("hostaddr '{}' is no IP address", from))
        .with_operation("nvme connect")
        .with_device(settings.name);
  }
}

spdk_nvme_ctrlr_opts to_spdk_options(const ControllerSettings& settings) {
  spdk_nvme_ctrlr_opts opts{};
  ::spdk_nvme_ctrlr_get_default_ctrlr_opts(&opts, sizeof opts);
  opts.num_io_queues = std::max<std::uint32_t>(settings.num_io_queues, 1);
  opts.io_queue_size = settings.io_queue_size;
  opts.io_queue_requests = settings.io_queue_size;
  opts.admin_queue_size = std::max(settings.admin_queue_size, smallest_admin_queue);
  put(opts.hostnqn, settings.host_nqn, "host_nqn");
  static_assert(sizeof opts.extended_host_id == sizeof settings.host_id.bytes);
  std::ranges::copy(settings.host_id.bytes, opts.extended_host_id);
  put(opts.src_addr, settings.id.hostaddr, "hostaddr");
  put(opts.src_svcid, settings.id.hostsvcid, "hostsvcid");
  opts.keep_alive_timeout_ms = static_cast<std::uint32_t>(settings.keep_alive.count());
  opts.header_digest = settings.header_digest;
  opts.data_digest = settings.data_digest;
  opts.admin_timeout_ms = static_cast<std::uint32_t>(settings.admin_timeout.count());
  opts.fabrics_connect_timeout_us =
      static_cast<std::uint64_t>(std::chrono::microseconds(settings.connect_timeout).count());
  opts.transport_tos = settings.type_of_service;
  opts.disable_error_logging = true;  // whoever waits for the command has its status
  return opts;
}

spdk_nvme_transport_id to_spdk_id(const ControllerSettings& settings, const std::string& traddr,
                                  spdk_nvmf_adrfam family) {
  spdk_nvme_transport_id id{};
  ::spdk_nvme_trid_populate_transport(&id, to_spdk(settings.id.trtype));
  id.adrfam = family;
  put(id.traddr, traddr, "traddr");
  if (settings.id.trtype == TransportType::pcie) return id;
  put(id.trsvcid, settings.id.trsvcid, "trsvcid");
  put(id.subnqn, settings.id.subnqn, "subnqn");
  id.priority = settings.id.priority;
  return id;
}

}  // namespace spdkio::spdk
