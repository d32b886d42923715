// Calls methods of a JSON-RPC server on a Unix socket.
#pragma once

#include <spdkio/base/unique_fd.hpp>
#include <spdkio/rpc/json.hpp>
#include <spdkio/rpc/json_framer.hpp>

#include <chrono>
#include <string>
#include <string_view>

namespace spdkio::tool {

/// One connection. Blocks; not for reactors. Errors are `Failure`s with a hint.
class RpcClient {
 public:
  static constexpr std::string_view default_socket = "/var/tmp/spdk.sock";

  /// Connects. `timeout` holds for each call as well.
  RpcClient(const std::string& socket_path, std::chrono::milliseconds timeout);

  /// The result member of the answer. Null `params` are left out of the request. An error answer is a `Failure` that
  /// names the method, the server's message and the code.
  Json call(std::string_view method, const Json& params = nullptr);

 private:
  void send_all(std::string_view text, std::chrono::steady_clock::time_point deadline);
  Json receive(std::chrono::steady_clock::time_point deadline);
  void wait_for(short events, std::chrono::steady_clock::time_point deadline);
  Json answer_of(std::string_view method, const Json& response);

  std::string path_;
  std::chrono::milliseconds timeout_;
  UniqueFd socket_;
  rpc::JsonFramer framer_;
  int next_id_ = 1;
};

}  // namespace spdkio::tool
