// SocketOptions: what a TCP connection for NVMe is set to.
#pragma once

#include <cstdint>
#include <string>

namespace spdkio::nvme::tcp {

struct SocketOptions {
  /// The kernel's name of an algorithm; empty: the system's default. The library's choice is "cubic": algorithms that
  /// pace, as BBR does, hold back large writes over fast links. One that the kernel doesn't have is not an error.
  std::string congestion_control = "cubic";
  int priority = 0;               ///< SO_PRIORITY, 0: the system's
  int type_of_service = 0;        ///< IP_TOS or IPV6_TCLASS, 0: the system's
  std::uint32_t send_buffer = 0;  ///< bytes, 0: the kernel sizes it as it goes
  std::uint32_t receive_buffer = 0;
};

/// Non-blocking sockets without Nagle's delay, with `options` where the kernel has them. `family` is AF_INET or
/// AF_INET6.
void apply_socket_options(int fd, int family, const SocketOptions& options) noexcept;

}  // namespace spdkio::nvme::tcp
