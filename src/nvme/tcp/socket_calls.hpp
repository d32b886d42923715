// The system calls of the sockets, in one place so that tests can put faults in their way.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <cstddef>

namespace spdkio::nvme::tcp {

struct SocketCalls {
  ssize_t (*recv)(int fd, void* into, std::size_t size, int flags) = ::recv;
  ssize_t (*recvmsg)(int fd, msghdr* message, int flags) = ::recvmsg;
  ssize_t (*sendmsg)(int fd, const msghdr* message, int flags) = ::sendmsg;
};

/// What every connection uses. Only tests change it, while nothing is connected.
inline constinit SocketCalls socket_calls{};

}  // namespace spdkio::nvme::tcp
