// A blocking JSON-RPC client, for command lines and tests.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/base/unique_fd.hpp>
#include <spdkio/rpc/json.hpp>
#include <spdkio/rpc/json_framer.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace spdkio::rpc {

struct ClientOptions {
  std::chrono::milliseconds connect_timeout{5000};
  std::chrono::milliseconds call_timeout{60000};  ///< for one answer
  /// Tries again while nobody listens yet, until `connect_timeout`: for programs that have just been started.
  bool wait_for_server = false;
  JsonLimits limits{.max_depth = 64, .max_bytes = 64u << 20, .max_values = 1u << 22};  ///< of one answer
};

/// One connection to a server, ours or SPDK's. Blocks the calling OS thread; refuses with Misuse::would_block inside
/// tasks, messages and pollers. Not thread safe.
class Client {
 public:
  /// `address` as in ServerOptions. The error says whether nobody listens (with a hint), access is denied, or it took
  /// too long (ETIMEDOUT).
  static Result<Client> connect(const std::string& address, ClientOptions options = {});

  /// Calls a method and gives its result. An error answer becomes an Error with the server's message and the errno of
  /// its code (`RpcError::to_error`), and the method as operation. Null `params` are left out.
  Result<Json> call(std::string_view method, Json params = nullptr);
  /// The same, but gives the whole response: an object with `result`, or with `error` and in it code and message.
  Result<Json> request(std::string_view method, Json params = nullptr);
  /// Sends any JSON, a batch for example, and gives the next value that the server sends. After an error the connection
  /// is closed, since an answer may still be on its way: later calls give ENOTCONN.
  Result<Json> exchange(const Json& message);

  const std::string& address() const { return address_; }

 private:
  using Clock = std::chrono::steady_clock;
  Client(std::string address, const ClientOptions& options, UniqueFd fd);
  Result<> send(std::string_view text, Clock::time_point deadline);
  Result<Json> receive(Clock::time_point deadline);

  std::string address_;
  ClientOptions options_;
  UniqueFd fd_;
  JsonFramer framer_;
  std::uint64_t last_id_ = 0;
};

}  // namespace spdkio::rpc
