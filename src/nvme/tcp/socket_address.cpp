#include "nvme/tcp/socket_address.hpp"

#include <spdkio/base/error.hpp>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <net/if.h>
#include <netdb.h>

#include <cerrno>
#include <charconv>
#include <cstring>

namespace spdkio::nvme::tcp {

std::optional<SocketAddress> SocketAddress::parse(std::string_view host, std::uint16_t port) {
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  const std::string text(host);  // getaddrinfo knows scopes (%eth0), which inet_pton does not
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (text.empty() || ::getaddrinfo(text.c_str(), nullptr, &hints, &found) != 0) return std::nullopt;
  std::optional<SocketAddress> address = from(found->ai_addr, found->ai_addrlen);
  ::freeaddrinfo(found);
  if (address) address->set_port(port);
  return address;
}

std::uint16_t SocketAddress::parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [last, error] = std::from_chars(text.data(), end, port);
  if (error != std::errc{} || last != end) {
    throw Error(Misuse::invalid_argument,
                fmt::format("'{}' is no TCP port: a number from 0 to 65535 is expected", text));
  }
  return port;
}

std::optional<SocketAddress> SocketAddress::from(const sockaddr* address, socklen_t size) {
  SocketAddress out;
  if (address->sa_family == AF_INET && size >= sizeof(sockaddr_in)) {
    std::memcpy(&out.storage_.v4, address, sizeof(sockaddr_in));
  } else if (address->sa_family == AF_INET6 && size >= sizeof(sockaddr_in6)) {
    std::memcpy(&out.storage_.v6, address, sizeof(sockaddr_in6));
  } else {
    return std::nullopt;
  }
  return out;
}

namespace {

SocketAddress address_of(int fd, int (*get)(int, sockaddr*, socklen_t*), const char* operation) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  auto* const any = reinterpret_cast<sockaddr*>(&storage);
  if (get(fd, any, &size) != 0) throw Error::from_errno(errno).with_operation(operation);
  const auto address = SocketAddress::from(any, size);
  if (!address) throw Error::from_errno(EAFNOSUPPORT).with_operation(operation);
  return *address;
}

}  // namespace

SocketAddress SocketAddress::of_socket(int fd) { return address_of(fd, ::getsockname, "getsockname"); }
SocketAddress SocketAddress::of_peer(int fd) { return address_of(fd, ::getpeername, "getpeername"); }

bool SocketAddress::is_any() const noexcept {
  return is_v6() ? IN6_IS_ADDR_UNSPECIFIED(&storage_.v6.sin6_addr) : storage_.v4.sin_addr.s_addr == htonl(INADDR_ANY);
}

std::string SocketAddress::host() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (!is_v6()) return ::inet_ntop(AF_INET, &storage_.v4.sin_addr, text, sizeof text);
  if (IN6_IS_ADDR_V4MAPPED(&storage_.v6.sin6_addr)) {
    return ::inet_ntop(AF_INET, storage_.v6.sin6_addr.s6_addr + 12, text, sizeof text);
  }
  std::string out = ::inet_ntop(AF_INET6, &storage_.v6.sin6_addr, text, sizeof text);
  char interface[IF_NAMESIZE] = "";
  const std::uint32_t scope = storage_.v6.sin6_scope_id;
  if (scope != 0)
    out += fmt::format("%{}", ::if_indextoname(scope, interface) != nullptr ? interface : std::to_string(scope));
  return out;
}

std::string SocketAddress::to_string() const {
  const std::string text = host();
  return text.find(':') == std::string::npos ? fmt::format("{}:{}", text, port())
                                             : fmt::format("[{}]:{}", text, port());
}

}  // namespace spdkio::nvme::tcp
