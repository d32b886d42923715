// A JSON-RPC 2.0 server on a Unix or TCP socket, on the Thread that made it.
#pragma once

#include <spdkio/rpc/dispatcher.hpp>
#include <spdkio/rpc/json.hpp>
#include <spdkio/runtime/task.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

namespace spdkio::rpc {

/// Where SPDK's programs listen, and its `rpc.py` looks.
inline constexpr const char* default_address = "/var/tmp/spdk.sock";

struct ServerOptions {
  /// Path of a Unix socket, or `127.0.0.1:port`, `[::1]:port`; port 0 lets the kernel choose.
  std::string address = default_address;
  JsonLimits limits = request_limits;                               ///< of one request or batch
  std::size_t max_connections = 128;                                ///< further clients wait until one leaves
  std::size_t max_response_bytes = 32u << 20;                       ///< longer answers are replaced by an error
  std::chrono::nanoseconds stall_limit = std::chrono::seconds(30);  ///< a client that takes no byte of its answer for
                                                                    ///< this long is dropped
  bool allow_remote = false;  ///< addresses other than loopback; there is no authentication
};

/// Serves a Dispatcher's methods to many clients. Requests of one connection run one after the other and are answered
/// in their order, so a client may send many at once; connections run side by side. What is not JSON gets a parse error
/// and the connection ends, as with SPDK. At most one request and one answer per connection are in memory; the rest
/// waits in the kernel's buffers. Costs nothing while idle.
///
/// A Unix socket has mode 0600. Its path is guarded by a lock on `<path>.lock`, shared with SPDK's programs; a socket
/// file that nobody listens on is replaced, one in use is refused with EADDRINUSE.
///
/// Belongs to the Thread that made it; the Dispatcher must outlive it. `close` before it goes; otherwise its requests
/// are asked to stop and the log says so.
class Server {
 public:
  /// Starts to listen. Throws Error: Misuse::invalid_argument for bad addresses, EADDRINUSE, or what the kernel says.
  static Server listen(Dispatcher& dispatcher, ServerOptions options = {});
  Server(Server&&) noexcept;
  Server& operator=(Server&&) = delete;
  ~Server();

  /// Where clients reach it; with the real port.
  const std::string& address() const;
  std::size_t connections() const;

  /// Stops listening and removes the socket file at once; lets requests that run finish and be answered for up to
  /// `grace`, asks them to stop after that, and returns when the last has ended. Requests not yet started are not
  /// answered. May be called again. Not to be awaited inside a handler, which it would wait for.
  Task<> close(std::chrono::nanoseconds grace = std::chrono::seconds(5));

 private:
  class Impl;
  explicit Server(std::shared_ptr<Impl> impl) noexcept;
  std::shared_ptr<Impl> impl_;
};

}  // namespace spdkio::rpc
