// Calls of the command line to a server, with failures as this program shows them.
#pragma once

#include <spdkio/rpc/client.hpp>
#include <spdkio/rpc/json.hpp>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace spdkio::tool {

inline constexpr std::string_view default_rpc_socket = "/var/tmp/spdk.sock";

/// Throws `Failure`.
rpc::Client connect_rpc(const std::string& address, std::chrono::milliseconds timeout);
/// The result of a method. An error answer is a `Failure` with the server's message and code; for a method that does
/// not exist the hint is the nearest one that does.
Json call_rpc(rpc::Client& client, std::string_view method, const Json& params = nullptr);
/// Names of the server's methods, sorted.
std::vector<std::string> rpc_methods(rpc::Client& client);

}  // namespace spdkio::tool
