// Hosts: who connects, who may, and what is known of those that are connected.
#pragma once

#include <spdkio/base/uuid.hpp>
#include <spdkio/nvme/transport_id.hpp>
#include <spdkio/runtime/task.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace spdkio::nvmf {

/// A host that asks to be connected to a controller of a subsystem.
struct HostConnect {
  std::string hostnqn;
  Uuid hostid;
  std::string subnqn;
  nvme::TransportId listener;  ///< where it came in
  std::string local_address;   ///< the address that it connected to, without the port
  std::string peer;            ///< its own address and port
  std::uint32_t keep_alive_ms = 0;
};

/// Decides whether a host gets a controller, after the subsystem's own list has allowed it. On the Target's Thread; may
/// wait, up to the connect timeout of the transport, after which the host has gone. False, or an exception, refuses the
/// host with "Connect Invalid Host".
using AdmissionHook = std::function<Task<bool>(const HostConnect&)>;

struct HostEvent {
  enum class Type : std::uint8_t {
    connected,           ///< a controller was made
    disconnected,        ///< it was given back, or its connection was closed
    keep_alive_expired,  ///< the host was silent for too long; `disconnected` follows
    refused              ///< not on the list, or the admission hook said no
  };
  Type type{};
  std::uint16_t cntlid = 0;
  HostConnect host;
};

/// Counters of one connection, since it was made.
struct ConnectionStats {
  std::uint64_t id = 0;  ///< of the connection, unique in the process
  std::string subnqn;
  std::string hostnqn;
  std::uint16_t cntlid = 0;
  std::uint16_t qid = 0;
  std::uint32_t queue_depth = 0;
  std::string peer;
  std::string local;
  std::string thread;  ///< that polls it
  bool header_digest = false;
  bool data_digest = false;
  std::uint64_t commands = 0;
  std::uint64_t read_commands = 0;
  std::uint64_t write_commands = 0;
  std::uint64_t bytes_read = 0;     ///< data to the host
  std::uint64_t bytes_written = 0;  ///< data from the host
  std::uint64_t errors = 0;         ///< commands that were not answered with success
  std::uint64_t digest_errors = 0;  ///< wrong data digests
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;
  std::uint32_t in_flight = 0;
};

/// Of one poll thread.
struct PollGroupStats {
  std::string name;
  std::uint32_t admin_qpairs = 0;  ///< since the start
  std::uint32_t io_qpairs = 0;
  std::uint32_t current_admin_qpairs = 0;
  std::uint32_t current_io_qpairs = 0;
  std::uint64_t completed_nvme_io = 0;
  std::uint64_t buffer_waits = 0;     ///< requests that had to wait for a data buffer
  std::uint64_t buffer_bytes = 0;     ///< taken from the engine so far
  std::uint64_t protocol_errors = 0;  ///< connections that were terminated
};

}  // namespace spdkio::nvmf
