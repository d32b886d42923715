#include "rpc/socket_address.hpp"

#include <spdkio/base/error.hpp>

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <new>

#include "rpc/text.hpp"

namespace spdkio::rpc {
namespace {

[[noreturn]] void refuse(std::string_view text, std::string_view why) {
  throw Error(Misuse::invalid_argument, fmt::format("RPC address {}: {}", in_quotes(text), why));
}

bool has_port(std::string_view text) {
  if (text.starts_with('[')) return true;
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || text.find('/') != std::string_view::npos) return false;
  const std::string_view digits = text.substr(colon + 1);
  return !digits.empty() && std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

SocketAddress SocketAddress::parse(std::string_view text) {
  SocketAddress out;
  if (text.empty()) refuse(text, "empty; give the path of a Unix socket, or an IP address and port");
  if (text.find('\0') != std::string_view::npos) refuse(text, "holds a NUL character");
  if (!has_port(text)) {
    auto& local = *new (&out.storage_.local) sockaddr_un{};
    constexpr std::size_t longest = sizeof(local.sun_path) - 1;
    if (text.size() > longest) {
      refuse(text, fmt::format("the path of a Unix socket may have {} bytes, this one has {}", longest, text.size()));
    }
    local.sun_family = AF_UNIX;
    text.copy(local.sun_path, longest);
    return out;
  }
  const auto colon = text.rfind(':');
  const std::string_view digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (colon == std::string_view::npos || error != std::errc{} || end != digits.data() + digits.size()) {
    refuse(text, "expected a port from 0 to 65535 after the last colon");
  }
  const bool bracketed = text.starts_with('[');
  if (bracketed && (colon < 2 || text[colon - 1] != ']')) refuse(text, "expected [address]:port");
  const std::string host(bracketed ? text.substr(1, colon - 2) : text.substr(0, colon));
  if (bracketed) {
    auto& v6 = *new (&out.storage_.v6) sockaddr_in6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    if (inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) != 1) refuse(text, "not a numeric IPv6 address");
  } else {
    auto& v4 = *new (&out.storage_.v4) sockaddr_in{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    if (inet_pton(AF_INET, host.c_str(), &v4.sin_addr) != 1) {
      refuse(text, "not a numeric IPv4 address; a path needs a slash, IPv6 needs [brackets]");
    }
  }
  return out;
}

SocketAddress SocketAddress::of_socket(int fd) {
  SocketAddress out;
  socklen_t size = sizeof out.storage_;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&out.storage_), &size) != 0) {
    throw Error::from_errno(errno, "getsockname");
  }
  return out;
}

bool SocketAddress::is_loopback() const {
  switch (family()) {
    case AF_UNIX: return true;
    case AF_INET: return ntohl(storage_.v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    default: return IN6_IS_ADDR_LOOPBACK(&storage_.v6.sin6_addr);
  }
}

socklen_t SocketAddress::size() const {
  switch (family()) {
    case AF_UNIX: return sizeof(sockaddr_un);
    case AF_INET: return sizeof(sockaddr_in);
    default: return sizeof(sockaddr_in6);
  }
}

std::string SocketAddress::to_string() const {
  if (is_unix()) return path();
  char text[INET6_ADDRSTRLEN] = "";
  if (family() == AF_INET) {
    inet_ntop(AF_INET, &storage_.v4.sin_addr, text, sizeof text);
    return fmt::format("{}:{}", text, ntohs(storage_.v4.sin_port));
  }
  inet_ntop(AF_INET6, &storage_.v6.sin6_addr, text, sizeof text);
  return fmt::format("[{}]:{}", text, ntohs(storage_.v6.sin6_port));
}

}  // namespace spdkio::rpc
