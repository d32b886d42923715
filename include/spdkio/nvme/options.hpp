// Options of controllers and queue pairs.
#pragma once

#include <spdkio/base/uuid.hpp>

#include <chrono>
#include <cstdint>
#include <string_view>

namespace spdkio::nvme {

/// What happens when the connection to a controller is lost.
struct ReconnectPolicy {
  /// False: the controller fails at the first loss, and everything in flight with it.
  bool enabled = true;
  /// Pause before the first attempt after the loss; doubled after each attempt that fails, up to `max_delay`.
  std::chrono::milliseconds initial_delay{250};
  std::chrono::milliseconds max_delay{10'000};
  /// From the loss on; then the controller fails for good (SPDK: ctrlr_loss_timeout_sec). Negative: never.
  std::chrono::milliseconds give_up_after{600'000};
  /// From the loss on; then requests that wait for the connection, and new ones, fail at once with ENOTCONN while the
  /// attempts go on (SPDK: fast_io_fail_timeout_sec). Negative: they wait until the controller is back or has failed.
  std::chrono::milliseconds fail_io_after{-1};
};

/// Strings are copied by the call that takes the options.
struct ControllerOptions {
  /// For logs and errors; empty: the address.
  std::string_view name{};
  /// I/O queue pairs to ask the controller for; it may grant fewer.
  std::uint16_t num_io_queues = 64;
  /// Entries of the admin queue; one fewer commands fit.
  std::uint16_t admin_queue_size = 32;
  /// Entries of I/O queues whose QpairOptions do not say.
  std::uint16_t io_queue_size = 128;
  /// How the host calls itself to Fabrics controllers; empty: `nqn.2014-08.org.nvmexpress:uuid:` and the host
  /// identifier.
  std::string_view host_nqn{};
  /// Nil: one random identifier per process. Set it where identity must survive the process: reservations, access
  /// lists.
  Uuid host_id{};
  /// Fabrics: the controller gives the host up when it hears nothing for so long; the library sends Keep Alive in time.
  /// Zero: none.
  std::chrono::milliseconds keep_alive{10'000};
  /// TCP: CRC-32C over headers and data. What the controller refuses is an error.
  bool header_digest = false;
  bool data_digest = false;
  /// For the whole of connecting, by stages: the transport's connection, the handshake, each command.
  std::chrono::milliseconds connect_timeout{15'000};
  /// An admin command without an answer for so long means that the controller is lost. Zero: it may take for ever.
  std::chrono::milliseconds admin_timeout{60'000};
  /// An I/O command without an answer for so long is aborted; after the same time again the controller is reset. Zero:
  /// it may take for ever.
  std::chrono::milliseconds io_timeout{0};
  ReconnectPolicy reconnect{};
  /// How often a command is sent again whose status says that trying again may help (not DNR).
  std::uint32_t retries = 4;
  /// TCP: the kernel's name of an algorithm; empty: the system's default.
  std::string_view congestion_control = "cubic";
  /// TCP: IP type of service or traffic class of the connections; 0: the system's.
  std::uint8_t type_of_service = 0;
  /// Fabrics discovery controllers: no I/O queues, no namespaces.
  bool discovery = false;
};

struct QpairOptions {
  /// Entries; one fewer commands are in flight at most, further ones wait in order. 0: the controller's option. Limited
  /// by what the controller can do.
  std::uint32_t queue_size = 0;
  /// False: nothing completes unless the program calls `Qpair::process_completions`, and the Thread is not woken.
  bool poll = true;
};

}  // namespace spdkio::nvme
