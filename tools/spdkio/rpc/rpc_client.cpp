
#include "spdkio/rpc/rpc_client.hpp"

#include "spdkio/cli/failure.hpp"

#include <spdkio/rpc/error.hpp>

#include <fmt/format.h>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>

namespace spdkio::tool {
namespace {

// Answers may be long: bdev_get_bdevs of a thousand devices.
constexpr rpc::JsonLimits answer_limits{.max_depth = 64, .max_bytes = 64u << 20, .max_values = 1u << 22};

std::string hint_for(int error, const std::string& path) {
  switch (error) {
    case ENOENT: return "start a program with an RPC server, or name its socket with --socket";
    case ECONNREFUSED: return fmt::format("no program listens there any more; {} can be removed", path);
    case EACCES: return "the socket belongs to another user; try sudo";
    default: return {};
  }
}

}  // namespace

RpcClient::RpcClient(const std::string& socket_path, std::chrono::milliseconds timeout)
    : path_(socket_path), timeout_(timeout), framer_(answer_limits) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.empty() || socket_path.size() >= sizeof address.sun_path) {
    throw Failure::usage(
        fmt::format("'{}' is no socket path: 1 to {} characters", socket_path, sizeof address.sun_path - 1));
  }
  std::memcpy(address.sun_path, socket_path.data(), socket_path.size());
  socket_ = UniqueFd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!socket_) throw Failure{fmt::format("no socket: {}", std::strerror(errno))};
  const auto deadline = std::chrono::steady_clock::now() + timeout_;
  while (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int error = errno;
    // A full backlog: the server is alive and busy.
    if (error != EAGAIN && error != EINTR) {
      throw Failure{fmt::format("{} cannot be reached: {}", path_, std::strerror(error)), hint_for(error, path_)};
    }
    if (std::chrono::steady_clock::now() >= deadline) throw Failure{fmt::format("{} accepts no connection", path_)};
    ::usleep(10'000);
  }
}

void RpcClient::wait_for(short events, std::chrono::steady_clock::time_point deadline) {
  pollfd waiting{.fd = socket_.get(), .events = events, .revents = 0};
  while (true) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    const int ready =
        left.count() <= 0 ? 0 : ::poll(&waiting, 1, static_cast<int>(std::min<long long>(left.count(), 60'000)));
    if (ready > 0) return;
    if (ready < 0 && errno != EINTR) throw Failure{fmt::format("waiting for {}: {}", path_, std::strerror(errno))};
    if (std::chrono::steady_clock::now() >= deadline) {
      throw Failure{fmt::format("{} did not answer within {} s", path_, static_cast<double>(timeout_.count()) / 1000),
                    "--timeout sets how long to wait"};
    }
  }
}

void RpcClient::send_all(std::string_view text, std::chrono::steady_clock::time_point deadline) {
  while (!text.empty()) {
    const ssize_t sent = ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      text.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      wait_for(POLLOUT, deadline);
    } else if (errno != EINTR) {
      throw Failure{fmt::format("sending to {}: {}", path_, std::strerror(errno))};
    }
  }
}

Json RpcClient::receive(std::chrono::steady_clock::time_point deadline) {
  char block[65536];
  while (true) {
    auto value = framer_.next();
    if (!value)
      throw Failure{fmt::format("{} sent something that is not JSON-RPC: {}", path_, value.error().message())};
    if (*value) return std::move(**value);
    const ssize_t received = ::recv(socket_.get(), block, sizeof block, 0);
    if (received > 0) {
      framer_.push({block, static_cast<std::size_t>(received)});
    } else if (received == 0) {
      throw Failure{fmt::format("{} closed the connection without an answer", path_),
                    "the program may have ended; its log says why"};
    } else if (errno == EAGAIN) {
      wait_for(POLLIN, deadline);
    } else if (errno != EINTR) {
      throw Failure{fmt::format("receiving from {}: {}", path_, std::strerror(errno))};
    }
  }
}

Json RpcClient::answer_of(std::string_view method, const Json& response) {
  if (response.contains("result")) return response["result"];
  if (!response.contains("error")) {
    throw Failure{fmt::format("{} sent an answer without result and error", path_)};
  }
  const auto error = rpc::RpcError::from_json(response["error"]);
  if (!error) throw Failure{fmt::format("{}: {}", method, rpc::dump_json(response["error"]))};
  std::string hint;
  if (error->data() != nullptr && error->data()->is_object() && error->data()->contains("hint") &&
      (*error->data())["hint"].is_string()) {
    hint = (*error->data())["hint"].get<std::string>();
  }
  throw Failure{fmt::format("{}: {} (code {})", method, error->what(), error->code()), hint};
}

Json RpcClient::call(std::string_view method, const Json& params) {
  const auto deadline = std::chrono::steady_clock::now() + timeout_;
  const int id = next_id_++;
  Json request = {{"jsonrpc", "2.0"}, {"method", method}, {"id", id}};
  if (!params.is_null()) request["params"] = params;
  send_all(rpc::dump_json(request), deadline);
  while (true) {
    const Json response = receive(deadline);
    // Answers to calls that ran out of time may still come first.
    if (!response.is_object()) throw Failure{fmt::format("{} sent an answer that is not an object", path_)};
    const bool ours = response.contains("id") && (response["id"] == id || response["id"].is_null());
    if (ours) return answer_of(method, response);
  }
}

}  // namespace spdkio::tool
