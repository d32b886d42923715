#include "nvme/tcp/socket_options.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace spdkio::nvme::tcp {
namespace {

void set(int fd, int level, int name, int value) noexcept { ::setsockopt(fd, level, name, &value, sizeof value); }

}  // namespace

// What the kernel refuses (an algorithm that is not loaded, a priority without the capability) leaves its default, with
// which the connection works too.
void apply_socket_options(int fd, int family, const SocketOptions& options) noexcept {
  set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (!options.congestion_control.empty()) {
    ::setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, options.congestion_control.data(),
                 static_cast<socklen_t>(options.congestion_control.size()));
  }
  if (options.priority != 0) set(fd, SOL_SOCKET, SO_PRIORITY, options.priority);
  if (options.type_of_service != 0) {
    family == AF_INET6 ? set(fd, IPPROTO_IPV6, IPV6_TCLASS, options.type_of_service)
                       : set(fd, IPPROTO_IP, IP_TOS, options.type_of_service);
  }
  if (options.send_buffer != 0) set(fd, SOL_SOCKET, SO_SNDBUF, static_cast<int>(options.send_buffer));
  if (options.receive_buffer != 0) set(fd, SOL_SOCKET, SO_RCVBUF, static_cast<int>(options.receive_buffer));
}

}  // namespace spdkio::nvme::tcp
