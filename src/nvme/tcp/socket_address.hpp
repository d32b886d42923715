// SocketAddress: a numeric IP address and port.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace spdkio::nvme::tcp {

class SocketAddress {
 public:
  /// Reads `127.0.0.1`, `::1`, `fe80::1%eth0` and `[::1]`; nothing for what is not a numeric address.
  static std::optional<SocketAddress> parse(std::string_view host, std::uint16_t port);
  /// The port of NVMe's TRSVCID field; throws Misuse::invalid_argument for anything but a number from 0 to 65535.
  static std::uint16_t parse_port(std::string_view text);
  /// Of an IPv4 or IPv6 address as the system calls give it; nothing for other families.
  static std::optional<SocketAddress> from(const sockaddr* address, socklen_t size);
  /// The own address of a socket, or of the other side. Throw Error.
  static SocketAddress of_socket(int fd);
  static SocketAddress of_peer(int fd);

  int family() const noexcept { return storage_.any.sa_family; }
  bool is_v6() const noexcept { return family() == AF_INET6; }
  /// 0.0.0.0 or ::
  bool is_any() const noexcept;
  std::uint16_t port() const noexcept { return ntohs(is_v6() ? storage_.v6.sin6_port : storage_.v4.sin_port); }
  void set_port(std::uint16_t port) noexcept { (is_v6() ? storage_.v6.sin6_port : storage_.v4.sin_port) = htons(port); }
  const sockaddr* get() const noexcept { return &storage_.any; }
  socklen_t size() const noexcept { return is_v6() ? sizeof(sockaddr_in6) : sizeof(sockaddr_in); }

  /// Without the port and without brackets; a v4 address that came over a v6 socket reads as v4.
  std::string host() const;
  /// `127.0.0.1:4420`, `[::1]:4420`.
  std::string to_string() const;

 private:
  SocketAddress() noexcept = default;
  union {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6{};
  } storage_;
};

}  // namespace spdkio::nvme::tcp
