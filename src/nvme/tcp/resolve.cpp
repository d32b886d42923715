#include "nvme/tcp/resolve.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/thread.hpp>

#include <fmt/format.h>
#include <netdb.h>

#include <cerrno>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>

namespace spdkio::nvme::tcp {
namespace {

/// Shared by the one that asks and the OS thread that looks up: either may let go first.
struct LookUp {
  std::string host;
  std::uint16_t port = 0;
  int family = AF_UNSPEC;
  ThreadHandle asker;
  // On the asker's Thread, once the other is through.
  Event done;
  int error = 0;
  int system_error = 0;
  std::vector<SocketAddress> addresses;

  void run() {
    addrinfo hints{};
    hints.ai_family = family;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* found = nullptr;
    error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
    system_error = error == EAI_SYSTEM ? errno : 0;
    for (const addrinfo* each = found; error == 0 && each != nullptr; each = each->ai_next) {
      auto address = SocketAddress::from(each->ai_addr, each->ai_addrlen);
      if (!address) continue;
      address->set_port(port);
      addresses.push_back(*address);
    }
    if (error == 0) ::freeaddrinfo(found);
  }
};

int family_number(AddressFamily family) {
  switch (family) {
    case AddressFamily::v4: return AF_INET;
    case AddressFamily::v6: return AF_INET6;
    default: return AF_UNSPEC;
  }
}

Error no_address(const std::string& host) {
  return Error::from_errno(EADDRNOTAVAIL, fmt::format("'{}' has no address of the family that was asked for", host))
      .with_operation("resolve");
}

}  // namespace

Task<std::vector<SocketAddress>> resolve(std::string host, std::uint16_t port, AddressFamily family) {
  if (const auto numeric = SocketAddress::parse(host, port)) {
    const bool fits = family == AddressFamily::any || (family == AddressFamily::v6) == numeric->is_v6();
    if (!fits) throw no_address(host);
    co_return std::vector<SocketAddress>{*numeric};
  }
  auto look_up = std::make_shared<LookUp>();
  look_up->host = host;
  look_up->port = port;
  look_up->family = family_number(family);
  look_up->asker = CurrentThread::handle();
  try {
    std::thread([look_up] {
      look_up->run();
      const ThreadHandle asker = look_up->asker;
      [[maybe_unused]] const auto sent = asker.send([look_up] { look_up->done.set(); });
    }).detach();
  } catch (const std::system_error& error) {
    throw Error::from_errno(error.code().value(), fmt::format("no OS thread to look up '{}' on", host))
        .with_operation("resolve");
  }
  co_await look_up->done.wait();
  if (look_up->error == 0 && look_up->addresses.empty()) throw no_address(host);
  if (look_up->error != 0) {
    const int value = look_up->system_error != 0     ? look_up->system_error
                      : look_up->error == EAI_AGAIN  ? EAGAIN
                      : look_up->error == EAI_MEMORY ? ENOMEM
                                                     : EHOSTUNREACH;
    throw Error::from_errno(value, fmt::format("cannot resolve '{}': {}", host, ::gai_strerror(look_up->error)))
        .with_operation("resolve")
        .with_hint("check the name, or give the numeric address");
  }
  co_return std::move(look_up->addresses);
}

}  // namespace spdkio::nvme::tcp
