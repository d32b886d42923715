// Transport: what a target listens with.
#pragma once

#include <spdkio/nvme/transport_id.hpp>

#include <chrono>
#include <cstdint>
#include <string_view>

namespace spdkio::nvmf {

/// Options of a transport; the names follow SPDK's `nvmf_create_transport`. The text is copied when the transport is
/// added.
struct TransportOptions {
  /// Largest queue of a connection, entries (2 to 65535). Hosts that ask for more are refused.
  std::uint32_t max_queue_depth = 128;
  /// I/O queues per controller (1 to 65534), so one connection more per host.
  std::uint32_t max_io_qpairs_per_ctrlr = 127;
  /// Data in a command capsule, bytes, a multiple of 16: writes up to this length need no round trip. Admin queues
  /// always have 8192.
  std::uint32_t in_capsule_data_size = 4096;
  /// Longest transfer of one command, bytes: 4096 times a power of two, at most 2 MiB.
  std::uint32_t max_io_size = 131072;
  /// Entries of an admin queue.
  std::uint32_t max_aq_depth = 128;
  /// Data buffers of each poll thread, bytes. Requests wait in order when they are used up.
  std::size_t buffer_bytes = std::size_t{64} << 20;
  /// Connections of the whole target; further hosts are turned away when they connect.
  std::uint32_t max_connections = 4096;
  /// Time that a connection has from its beginning to a successful Connect command.
  std::chrono::milliseconds connect_timeout{10000};
  /// Reads that succeed are answered by their data alone, without a response capsule, as SPDK and Linux hosts expect.
  /// False: only for hosts that have switched submission queue flow control off, as the specification words it.
  bool c2h_success = true;
  /// Congestion control of the kernel for the connections; empty: the system's default.
  std::string_view congestion_control = "cubic";
  int sock_priority = 0;        ///< SO_PRIORITY, 0: the system's
  std::uint32_t backlog = 512;  ///< connections that wait to be accepted
  /// The host may ask for digests with these on.
  bool allow_header_digest = true;
  bool allow_data_digest = true;
};

/// A plain value for `Target::add_transport`.
class Transport {
 public:
  /// NVMe over TCP.
  static Transport tcp(const TransportOptions& options = {}) noexcept {
    return Transport(nvme::TransportType::tcp, options);
  }
  /// NVMe over RDMA: of an engine's own target alone.
  static Transport rdma(const TransportOptions& options = {}) noexcept {
    return Transport(nvme::TransportType::rdma, options);
  }
  nvme::TransportType type() const noexcept { return type_; }
  const TransportOptions& options() const noexcept { return options_; }

 private:
  Transport(nvme::TransportType type, const TransportOptions& options) noexcept : type_(type), options_(options) {}
  nvme::TransportType type_;
  TransportOptions options_;
};

}  // namespace spdkio::nvmf
