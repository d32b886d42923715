// MetricsServer: one page over HTTP, for Prometheus to fetch.
#pragma once

#include <spdkio/runtime/task.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

namespace spdkio::app {

struct MetricsServerOptions {
  /// `127.0.0.1:port`, `[::1]:port` or the path of a Unix socket; port 0 lets the kernel choose.
  std::string address;
  bool allow_remote = false;  ///< addresses other than loopback; there is no authentication
  std::size_t max_connections = 16;
  /// For the head of a request, and for a client that takes nothing of its answer.
  std::chrono::nanoseconds client_limit = std::chrono::seconds(10);
};

/// Answers GET and HEAD of /metrics with what `collect` gives, one request per connection. Belongs to the Thread that
/// made it; sockets are never waited for. `close` before it goes; otherwise clients are dropped and the log says so.
class MetricsServer {
 public:
  using Collect = std::function<Task<std::string>()>;

  /// Starts to listen. Throws Error: Misuse::invalid_argument for bad addresses, EADDRINUSE, or what the kernel says.
  static MetricsServer listen(MetricsServerOptions options, Collect collect);
  MetricsServer(MetricsServer&&) noexcept;
  MetricsServer& operator=(MetricsServer&&) = delete;
  ~MetricsServer();

  /// With the real port.
  const std::string& address() const;
  /// Stops listening, drops the clients, and returns when all of it has ended.
  Task<> close();

 private:
  class Impl;
  explicit MetricsServer(std::shared_ptr<Impl> impl) noexcept;
  std::shared_ptr<Impl> impl_;
};

}  // namespace spdkio::app
