#include <spdkio/rpc/client.hpp>

#include <spdkio/rpc/error.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "rpc/socket_address.hpp"

namespace spdkio::rpc {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds retry_pause = 20ms;

// The reason why this OS thread must not block, if there is one.
bool on_reactor() {
  const auto* core = ::spdkio::detail::ThreadCore::current();
  return core != nullptr && core->polling();
}

Error refused(std::string_view operation) {
  return Error(Misuse::would_block, "a blocking RPC client would stop everything else on this thread")
      .with_operation(operation);
}

// 0, ETIMEDOUT or another errno.
int wait_for(int fd, short events, Clock::time_point deadline) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd waiting{.fd = fd, .events = events, .revents = 0};
    const int ready = poll(&waiting, 1, static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1'000'000)));
    if (ready > 0) return 0;
    if (ready < 0 && errno != EINTR) return errno;
    if (Clock::now() >= deadline) return ETIMEDOUT;
  }
}

int connect_once(int fd, const SocketAddress& where, Clock::time_point deadline) {
  if (::connect(fd, where.get(), where.size()) == 0) return 0;
  if (errno != EINPROGRESS && errno != EINTR) return errno;
  if (const int error = wait_for(fd, POLLOUT, deadline); error != 0) return error;
  int error = 0;
  socklen_t size = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

Error connect_error(int error, const std::string& address) {
  const Error plain = Error::from_errno(error, fmt::format("cannot connect to {}", address)).with_operation("rpc");
  switch (error) {
    case ENOENT:
    case ECONNREFUSED: return plain.with_hint("is the application running, and is this its RPC address?");
    case EACCES:
      return plain.with_hint("the socket belongs to the user who runs the application; run this as that user");
    default: return plain;
  }
}

}  // namespace

Client::Client(std::string address, const ClientOptions& options, UniqueFd fd)
    : address_(std::move(address)), options_(options), fd_(std::move(fd)), framer_(options.limits) {}

Result<Client> Client::connect(const std::string& address, ClientOptions options) {
  if (on_reactor()) return std::unexpected(refused("rpc connect"));
  const auto deadline = Clock::now() + options.connect_timeout;
  try {
    const SocketAddress where = SocketAddress::parse(address);
    while (true) {
      UniqueFd fd(socket(where.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      if (!fd) return std::unexpected(Error::from_errno(errno, "cannot make a socket").with_operation("rpc"));
      int error = connect_once(fd.get(), where, deadline);
      if (error == 0) return Client(address, options, std::move(fd));
      // A Unix socket whose queue of clients is full says EAGAIN instead of waiting.
      const bool again = error == EAGAIN || (options.wait_for_server && (error == ENOENT || error == ECONNREFUSED));
      if (!again) return std::unexpected(connect_error(error, address));
      if (Clock::now() + retry_pause >= deadline) {
        return std::unexpected(connect_error(error == EAGAIN ? ETIMEDOUT : error, address));
      }
      poll(nullptr, 0, static_cast<int>(retry_pause.count()));
    }
  } catch (const Error& error) {
    return std::unexpected(error);
  }
}

Result<> Client::send(std::string_view text, Clock::time_point deadline) {
  while (!text.empty()) {
    const ssize_t length = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
    if (length >= 0) {
      text.remove_prefix(static_cast<std::size_t>(length));
      continue;
    }
    if (errno == EINTR) continue;
    int error = errno;
    if (error == EAGAIN) error = wait_for(fd_.get(), POLLOUT, deadline);
    // A server that refuses a request closes while it is still being sent; its answer says more than the broken pipe.
    if (error == EPIPE || error == ECONNRESET) return {};
    if (error != 0) return std::unexpected(Error::from_errno(error, fmt::format("sending to {}", address_)));
  }
  return {};
}

Result<Json> Client::receive(Clock::time_point deadline) {
  std::array<char, 65536> bytes;
  while (true) {
    auto value = framer_.next();
    if (!value)
      return std::unexpected(
          Error(std::errc::protocol_error, fmt::format("{} sent: {}", address_, value.error().message())));
    if (*value) return std::move(**value);
    const ssize_t length = ::recv(fd_.get(), bytes.data(), bytes.size(), 0);
    if (length > 0) {
      framer_.push({bytes.data(), static_cast<std::size_t>(length)});
      continue;
    }
    if (length == 0) {
      return std::unexpected(
          Error(std::errc::connection_reset, fmt::format("{} closed the connection without an answer", address_)));
    }
    if (errno == EINTR) continue;
    int error = errno;
    if (error == EAGAIN) error = wait_for(fd_.get(), POLLIN, deadline);
    if (error == ETIMEDOUT) {
      return std::unexpected(Error(std::errc::timed_out, fmt::format("{} did not answer within {} ms", address_,
                                                                     options_.call_timeout.count()))
                                 .with_outcome(Outcome::may_have_executed));
    }
    if (error != 0) return std::unexpected(Error::from_errno(error, fmt::format("receiving from {}", address_)));
  }
}

Result<Json> Client::exchange(const Json& message) {
  if (on_reactor()) return std::unexpected(refused("rpc"));
  if (!fd_)
    return std::unexpected(
        Error(std::errc::not_connected, fmt::format("the connection to {} was closed after an error", address_)));
  const auto deadline = Clock::now() + options_.call_timeout;
  const auto sent = send(dump_json(message) + '\n', deadline);
  auto answer = sent ? receive(deadline) : Result<Json>(std::unexpected(sent.error()));
  if (!answer) fd_.reset();
  return answer;
}

Result<Json> Client::request(std::string_view method, Json params) {
  Json message = {{"jsonrpc", "2.0"}, {"id", ++last_id_}, {"method", method}};
  if (!params.is_null()) message["params"] = std::move(params);
  auto response = exchange(message);
  if (!response) return std::unexpected(response.error().with_operation(method));
  const auto refuse = [&](std::string_view why) -> Result<Json> {
    fd_.reset();
    return std::unexpected(
        Error(std::errc::protocol_error, fmt::format("{}: {}", address_, why)).with_operation(method));
  };
  if (!response->is_object()) return refuse("the answer is not an object");
  if (response->contains("result") == response->contains("error")) return refuse("the answer has no result or two");
  const auto id = response->find("id");
  // An error that was found before the id could be read has none.
  const bool unidentified = id != response->end() && id->is_null() && response->contains("error");
  if (!unidentified && (id == response->end() || *id != last_id_)) return refuse("the answer is to another request");
  if (response->contains("error")) {
    if (const auto error = RpcError::from_json(response->at("error")); !error) return refuse(error.error().message());
  }
  return response;
}

Result<Json> Client::call(std::string_view method, Json params) {
  auto response = request(method, std::move(params));
  if (!response) return response;
  if (const auto error = response->find("error"); error != response->end()) {
    return std::unexpected(RpcError::from_json(*error)->to_error().with_operation(method));
  }
  return std::move(response->at("result"));
}

}  // namespace spdkio::rpc
