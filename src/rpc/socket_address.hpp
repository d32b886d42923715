// Where an RPC socket is: the path of a Unix socket, or a numeric IP address and port.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <string>
#include <string_view>

namespace spdkio::rpc {

class SocketAddress {
 public:
  /// `/var/tmp/spdk.sock`, `127.0.0.1:5260`, `[::1]:5260`. What has no slash and ends in a colon and digits is an IP
  /// address. Throws Error (Misuse::invalid_argument) which says what is wrong.
  static SocketAddress parse(std::string_view text);
  /// The same with the port that the kernel chose for `fd`.
  static SocketAddress of_socket(int fd);

  bool is_unix() const { return storage_.any.ss_family == AF_UNIX; }
  bool is_loopback() const;
  const char* path() const { return storage_.local.sun_path; }
  int family() const { return storage_.any.ss_family; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t size() const;
  std::string to_string() const;

 private:
  SocketAddress() = default;
  union {
    sockaddr_storage any{};
    sockaddr_un local;
    sockaddr_in v4;
    sockaddr_in6 v6;
  } storage_;
};

}  // namespace spdkio::rpc
