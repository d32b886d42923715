// Making TCP connections without blocking.
#pragma once

#include <spdkio/base/unique_fd.hpp>
#include <spdkio/runtime/task.hpp>

#include <optional>

#include "nvme/tcp/socket_address.hpp"
#include "nvme/tcp/socket_options.hpp"

namespace spdkio::nvme::tcp {

/// A connected, non-blocking socket, set as `options` say; bound to `from` before (its port may be 0). Throws Error
/// with the errno and the address. A stop request ends it at once; there is no limit of its own: use `with_timeout`.
/// `options` may go away once this has been called.
Task<UniqueFd> connect(SocketAddress to, SocketOptions options, std::optional<SocketAddress> from = std::nullopt);

/// A listening, non-blocking socket; port 0 lets the kernel choose. Throws Error that names the address.
UniqueFd listen(const SocketAddress& at, const SocketOptions& options, int backlog);

}  // namespace spdkio::nvme::tcp
