// ControllerSettings: ControllerOptions with strings of its own, checked.
#pragma once

#include <spdkio/base/uuid.hpp>
#include <spdkio/nvme/options.hpp>
#include <spdkio/nvme/transport_id.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace spdkio::nvme {

struct ControllerSettings {
  /// Throws Misuse::invalid_argument that names the option.
  static ControllerSettings from(const TransportId& id, const ControllerOptions& options);

  TransportId id;    ///< the subsystem is filled in
  std::string name;  ///< for logs and errors
  std::uint16_t num_io_queues = 0;
  std::uint16_t admin_queue_size = 0;
  std::uint16_t io_queue_size = 0;
  std::string host_nqn;
  Uuid host_id;
  std::chrono::milliseconds keep_alive{};
  bool header_digest = false;
  bool data_digest = false;
  std::chrono::milliseconds connect_timeout{};
  std::chrono::milliseconds admin_timeout{};
  std::chrono::milliseconds io_timeout{};
  ReconnectPolicy reconnect;
  std::uint32_t retries = 0;
  std::string congestion_control;
  std::uint8_t type_of_service = 0;
  bool discovery = false;
};

/// The host identifier of hosts that set none: one per process.
const Uuid& default_host_id();

}  // namespace spdkio::nvme
