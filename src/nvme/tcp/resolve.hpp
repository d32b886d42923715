// Host names to addresses, without blocking the Thread that asks.
#pragma once

#include <spdkio/runtime/task.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "nvme/tcp/socket_address.hpp"

namespace spdkio::nvme::tcp {

enum class AddressFamily : std::uint8_t { any, v4, v6 };

/// The addresses of `host` in the order in which they should be tried, each with `port`. Numeric addresses are answered
/// at once; names are looked up on an OS thread of their own. Throws Error that names the host: EHOSTUNREACH when there
/// is no such name, EADDRNOTAVAIL when it has no address of that family. A stop request ends the wait at once; the
/// look-up goes on unheard.
Task<std::vector<SocketAddress>> resolve(std::string host, std::uint16_t port,
                                         AddressFamily family = AddressFamily::any);

}  // namespace spdkio::nvme::tcp
